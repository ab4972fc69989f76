"""The configuration classes, where NNI's users import them from."""

from nni.config.algorithm import AlgorithmConfig, CustomAlgorithmConfig
from nni.config.experiment import ExperimentConfig
from nni.config.service import (
    KubeflowConfig,
    KubeflowRoleConfig,
    KubeflowRowConfig,
    LocalConfig,
    TrainingServiceConfig,
)
from nni.config.storage import (
    K8sAzureStorageConfig,
    K8sManagerStorageConfig,
    K8sNfsConfig,
    K8sPvcConfig,
    K8sStorageConfig,
)

__all__ = [
    "AlgorithmConfig",
    "CustomAlgorithmConfig",
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
    "TrainingServiceConfig",
]
