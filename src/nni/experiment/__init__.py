"""What users import to describe, start and read experiments.

The configuration classes are here at once; ``Experiment`` and what it returns load on first use.
"""

import importlib
import typing
from typing import Any

from nni.experiment.config import (
    AlgorithmConfig,
    CustomAlgorithmConfig,
    ExperimentConfig,
    K8sAzureStorageConfig,
    K8sManagerStorageConfig,
    K8sNfsConfig,
    K8sPvcConfig,
    K8sStorageConfig,
    KubeflowConfig,
    KubeflowRoleConfig,
    KubeflowRowConfig,
    LocalConfig,
    TrainingServiceConfig,
)

if typing.TYPE_CHECKING:
    from nni.experiment.data import TrialJob, TrialMetricData, TrialResult
    from nni.experiment.experiment import Experiment, RunMode

__all__ = [
    "AlgorithmConfig",
    "CustomAlgorithmConfig",
    "Experiment",
    "ExperimentConfig",
    "K8sAzureStorageConfig",
    "K8sManagerStorageConfig",
    "K8sNfsConfig",
    "K8sPvcConfig",
    "K8sStorageConfig",
    "KubeflowConfig",
    "KubeflowRoleConfig",
    "KubeflowRowConfig",
    "LocalConfig",
    "RunMode",
    "TrainingServiceConfig",
    "TrialJob",
    "TrialMetricData",
    "TrialResult",
]

_LATE = {
    "Experiment": "nni.experiment.experiment",
    "RunMode": "nni.experiment.experiment",
    "TrialJob": "nni.experiment.data",
    "TrialMetricData": "nni.experiment.data",
    "TrialResult": "nni.experiment.data",
}


if not typing.TYPE_CHECKING:  # else no type checker would find a misspelt name any more

    def __getattr__(name: str) -> Any:
        if name in _LATE:
            return getattr(importlib.import_module(_LATE[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
