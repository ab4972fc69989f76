"""What storage a configuration asks for, and what is said of mistakes in it."""

from pathlib import Path
from typing import Any

import pytest

from nni import check, errors
from nni.core import spec
from nni.experiment import (
    ExperimentConfig,
    K8sManagerStorageConfig,
    K8sNfsConfig,
    K8sStorageConfig,
    KubeflowRoleConfig,
)

AS_NNI_WRITES = {"storage": "nfs", "server": "a", "path": "/b"}


def config(directory: Path, storage: K8sStorageConfig | None, **fields: Any) -> ExperimentConfig:
    made = ExperimentConfig("kubeflow")
    made.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    made.tuner.name = "Random"
    made.trial_concurrency = 1
    made.max_trial_number = 1
    made.training_service.operator = "pytorch-operator"
    made.training_service.storage = storage
    made.training_service.master = KubeflowRoleConfig(command="true", code_directory=directory)
    for name, value in fields.items():
        setattr(made.training_service, name, value)
    return made


def frozen(directory: Path, storage: K8sStorageConfig | None, **fields: Any) -> spec.KubeflowSpec:
    found = check.checked(config(directory, storage, **fields)).platform
    assert isinstance(found, spec.KubeflowSpec)
    return found


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        (None, spec.ManagerSpec(output_limit_mib=200)),
        (K8sManagerStorageConfig(), spec.ManagerSpec(output_limit_mib=200)),
        (K8sManagerStorageConfig(output_limit="2Gi"), spec.ManagerSpec(output_limit_mib=2048)),
        (K8sNfsConfig(server="a", path="/b"), spec.NfsSpec(server="a", path="/b")),
        (
            K8sStorageConfig.from_dict({"storage": "nfs", "server": "a", "path": "/b"}),
            spec.NfsSpec(server="a", path="/b"),
        ),
        (K8sStorageConfig(storage_type="nfs", server="a", path="/b"), spec.NfsSpec(server="a", path="/b")),
        (K8sStorageConfig(storage_type="manager"), spec.ManagerSpec(output_limit_mib=200)),
    ],
)
def test_storage(storage: K8sStorageConfig | None, expected: spec.StorageSpec, tmp_path: Path) -> None:
    assert frozen(tmp_path, storage).storage == expected


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        (K8sManagerStorageConfig(server="a"), "storage.server: is for NFS; remove it"),
        (K8sManagerStorageConfig(output_limit="many"), "storage.output_limit: 'many' is not a size"),
        (K8sNfsConfig(path="/b"), "storage.server: is not set"),
        (K8sStorageConfig(), "storage.storage_type: is not set; use 'manager'"),
        (
            K8sStorageConfig(storage_type="nsf"),
            "storage.storage_type: 'nsf' is not a type of storage",
        ),
    ],
)
def test_mistakes(storage: K8sStorageConfig, said: str, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        check.checked(config(tmp_path, storage))
    said_of_storage = [str(one) for one in caught.value.problems]
    assert any(said.lower().replace("_", "") in one.lower().replace("_", "") for one in said_of_storage), (
        said_of_storage
    )


def test_how_much_code_travels(tmp_path: Path) -> None:
    assert frozen(tmp_path, None).code_limit_mib == 300
    assert frozen(tmp_path, None, trial_code_limit="1Gi").code_limit_mib == 1024
