"""Recognises files of NNI's first format, which is not read, and says how to write them anew."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nni import errors

_ROLES = ("worker", "ps", "master")
_ALGORITHMS = ("tuner", "assessor", "advisor")

_MOVED: Mapping[str, str] = {
    "maxExecDuration": "maxExperimentDuration",
    "maxTrialNum": "maxTrialNumber",
    "searchSpacePath": "searchSpaceFile",
    "logDir": "experimentWorkingDirectory",
    "trainingServicePlatform": "trainingService.platform",
    "trial.command": "trialCommand",
    "trial.codeDir": "trialCodeDirectory",
    "trial.gpuNum": "trialGpuNumber",
    "kubeflowConfig": "trainingService",
    "kubeflowConfig.storage": "trainingService.storage.storageType",
    "kubeflowConfig.nfs": "trainingService.storage",
    "kubeflowConfig.keyVault.vaultName": "trainingService.storage.keyVaultName",
    "kubeflowConfig.keyVault.name": "trainingService.storage.keyVaultKey",
    "kubeflowConfig.azureStorage.accountName": "trainingService.storage.azureAccount",
    "kubeflowConfig.azureStorage.azureShare": "trainingService.storage.azureShare",
    **{
        old.format(role=role): new.format(role=role)
        for role in _ROLES
        for old, new in {
            "trial.{role}": "trainingService.{role}",
            "trial.{role}.gpuNum": "trainingService.{role}.gpuNumber",
            "trial.{role}.cpuNum": "trainingService.{role}.cpuNumber",
            "trial.{role}.memoryMB": "trainingService.{role}.memorySize",
            "trial.{role}.image": "trainingService.{role}.dockerImage",
        }.items()
    },
    **{f"{name}.builtin{name.capitalize()}Name": f"{name}.name" for name in _ALGORITHMS},
    **{f"{name}.classFileName": f"{name}.className, as module.Class," for name in _ALGORITHMS},
    **{f"{name}.codeDir": f"{name}.codeDirectory" for name in _ALGORITHMS},
    **{f"{name}.gpuIndices": "tunerGpuIndices" for name in _ALGORITHMS},
}

_GONE = {
    "authorName", "description", "multiPhase", "multiThread", "versionCheck", "logCollection", "nasMode",
    "kubeflowConfig.uploadRetryCount",
    *(f"{name}.includeIntermediateResults" for name in _ALGORITHMS),
    *(f"trial.{role}.privateRegistryAuthPath" for role in _ROLES),
}  # fmt: skip


def is_legacy(values: Mapping[str, Any]) -> bool:
    """Whether this is a file of version 1."""
    return "trainingServicePlatform" in values


def problems(file: Path, values: Mapping[str, Any]) -> list[errors.Problem]:
    """Return what is to be done with each key of a file of version 1 that has another name in version 2, or none."""
    message = "is written in version 1 of NNI's format, which is not read; write it in version 2"
    return [errors.Problem(str(file), message), *_steps(values, "")]


def _steps(values: Mapping[str, Any], above: str) -> Iterator[errors.Problem]:
    for name, value in values.items():
        path = f"{above}{name}"
        if path in _GONE:
            yield errors.Problem(path, "has no meaning any more; remove it")
        elif path in _MOVED:
            yield errors.Problem(path, f"is {_MOVED[path]} now")
        if isinstance(value, Mapping):
            yield from _steps(value, f"{path}.")
