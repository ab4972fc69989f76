"""Names and labels of the objects that this platform makes: legal whatever the ids are, and never two alike."""

import hashlib
import re
from collections.abc import Mapping

from nni.core import model

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "nni-kubeflow"
EXPERIMENT = "nni/experiment"
TRIAL = "nni/trial"
ATTEMPT = "nni/attempt"
ROLE = "nni/role"
PORTER = "porter"
"""What stands in the label of the role, for a pod of no trial."""
SPEC_DIGEST = "nni/spec-sha256"
"""An annotation: says whether a job was made from another specification than it would be now."""
TOKEN_DIGEST = "nni/token-sha256"  # noqa: S105 a name
"""An annotation: says whose a job is, since the attempt's token can be made from the experiment's own key alone."""

LONGEST = 40
"""Operators append role and index to a job's name, and 63 is Kubernetes' limit."""
_LONGEST_SLUG = 16
_SLUG = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def job(experiment: model.ExperimentId, attempt: model.AttemptKey) -> str:
    """Return the name of an attempt's job; from the second attempt on its number stands at the end."""
    name = f"nni-exp-{_slug(experiment)}-trial-{attempt.trial}"
    return name if attempt.number == 1 else f"{name}-{attempt.number}"


def secret(experiment: model.ExperimentId) -> str:
    """Return the name of an experiment's Secret."""
    return f"nni-exp-{_slug(experiment)}"


def registry_secret(experiment: model.ExperimentId, role: str) -> str:
    """Return the name of the Secret with the registry's credentials for a role."""
    return f"{secret(experiment)}-{role}-registry"


def porter(experiment: model.ExperimentId) -> str:
    """Return the name of the Secret with the token of an experiment's porter, and the beginning of its pod's name."""
    return f"{secret(experiment)}-{PORTER}"


def porter_selector(experiment: model.ExperimentId) -> str:
    """Return the label selector that finds an experiment's porters."""
    return f"{selector(experiment)},{ROLE}={PORTER}"


def labels(experiment: model.ExperimentId, attempt: model.AttemptKey | None = None) -> Mapping[str, str]:
    """Return the labels of an experiment's objects, or of one attempt's."""
    common = {MANAGED_BY: MANAGER, EXPERIMENT: label(experiment)}
    if attempt is None:
        return common
    return {**common, TRIAL: attempt.trial, ATTEMPT: str(attempt.number)}


def selector(experiment: model.ExperimentId) -> str:
    """Return the label selector that finds an experiment's objects."""
    return ",".join(f"{name}={value}" for name, value in labels(experiment).items())


def attempt_of(found: Mapping[str, str]) -> model.AttemptKey | None:
    """Return the attempt that an object's labels name, None for an object that is not ours."""
    trial, number = found.get(TRIAL), found.get(ATTEMPT, "")
    if trial is None or not number.isdecimal():
        return None
    return model.AttemptKey(model.TrialId(trial), int(number))


def label(experiment: model.ExperimentId) -> str:
    """Return an experiment's id as a label's value: itself where that is legal."""
    return experiment if _LABEL_VALUE.fullmatch(experiment) and len(experiment) <= 63 else _slug(experiment)


def _slug(experiment: str) -> str:
    """Return an experiment's id as a part of a name: itself where that is legal, else its start and its digest."""
    if _SLUG.fullmatch(experiment) and len(experiment) <= _LONGEST_SLUG:
        return experiment
    start = re.sub(r"[^a-z0-9]+", "-", experiment.lower()).strip("-")[:8].rstrip("-")
    digest = hashlib.sha256(experiment.encode()).hexdigest()[:7]
    return f"{start}-{digest}" if start else digest
