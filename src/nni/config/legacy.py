"""Recognises files of NNI's first format, which is not read."""

from collections.abc import Mapping
from typing import Any

_RENAMED = {
    "authorName": None,
    "description": None,
    "maxExecDuration": "maxExperimentDuration",
    "maxTrialNum": "maxTrialNumber",
    "searchSpacePath": "searchSpaceFile",
    "logDir": "experimentWorkingDirectory",
    "trainingServicePlatform": "trainingService.platform",
    "trial": "trialCommand, trialCodeDirectory and the roles of trainingService",
    "kubeflowConfig": "trainingService",
    "multiPhase": None,
    "multiThread": None,
    "versionCheck": None,
    "logCollection": None,
    "nasMode": None,
}


def is_legacy(values: Mapping[str, Any]) -> bool:
    """Whether this is a file of version 1."""
    return "trainingServicePlatform" in values


def refusal(values: Mapping[str, Any]) -> str:
    """Return the sentence that says how to rewrite the file, key by key."""
    steps = [
        f"remove {name}" if new is None else f"write {new} instead of {name}"
        for name, new in _RENAMED.items()
        if name in values
    ]
    builtin = [name for name in ("Tuner", "Assessor", "Advisor") if f"builtin{name}Name" in _section(values, name)]
    steps += [f"write name instead of builtin{name}Name in {name.lower()}" for name in builtin]
    return f"is written in version 1 of NNI's format, which is not read; {'; '.join(steps)}"


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name.lower())
    return section if isinstance(section, Mapping) else {}
