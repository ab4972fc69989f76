"""What storage a configuration asks for, and what is said of mistakes in it."""

from pathlib import Path
from typing import Any

import pytest

from nni import check, errors
from nni.core import spec
from nni.experiment import (
    ExperimentConfig,
    K8sAzureStorageConfig,
    K8sManagerStorageConfig,
    K8sNfsConfig,
    K8sPvcConfig,
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


def azure(**fields: str | None) -> K8sAzureStorageConfig:
    known = {"azure_account": "account", "azure_share": "share", "key_vault_name": "vault", "key_vault_key": "key"}
    return K8sAzureStorageConfig(**{**known, **fields})


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
        (
            # The page's block.
            K8sAzureStorageConfig(
                azure_account="account", azure_share="share", key_vault_name="my-vault", key_vault_key="my_key"
            ),
            spec.AzureSpec(account="account", share="share", key_vault_name="my-vault", key_vault_key="my_key"),
        ),
        (
            K8sAzureStorageConfig(azure_account="account", azure_share="share", secret_name="s"),
            spec.AzureSpec(account="account", share="share", secret_name="s"),
        ),
        (K8sPvcConfig(claim_name="data"), spec.PvcSpec(claim_name="data", sub_path="")),
        (
            K8sPvcConfig(claim_name="data", sub_path="a/b/", mount_path="/tmp", output_limit="1Gi"),
            spec.PvcSpec(claim_name="data", sub_path="a/b", mount_path="/tmp", output_limit_mib=1024),
        ),
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
        (K8sNfsConfig(server="a", path="/b", output_limit=1), "storage.output_limit: is for storage with the manager"),
        (K8sPvcConfig(), "storage.claim_name: is not set"),
        (K8sPvcConfig(claim_name="Data_1"), "storage.claim_name: 'Data_1' is not the name of a"),
        (K8sPvcConfig(claim_name="data", sub_path="../x"), "storage.sub_path: '../x' is not a directory in the claim"),
        (K8sPvcConfig(claim_name="data", server="a"), "storage.server: is for NFS; remove it"),
        (azure(azure_account="My_Account"), "storage.azure_account: 'My_Account' is not the name of an account"),
        (azure(azure_share="A"), "storage.azure_share: 'A' is not the name of a share"),
        (azure(key_vault_name="https://v.vault.azure.net"), "storage.key_vault_name: 'https://v.vault.azure.net' is"),
        (azure(key_vault_key=None), "storage.key_vault_key: is not set; name the vault's secret with the account's"),
        (azure(secret_name="s", key_vault_name=None), "storage.key_vault_key: is not needed beside secret_name"),
        (azure(endpoint="file.core.windows.net"), "storage.endpoint: 'file.core.windows.net' is not a URL"),
        (azure(path="/b"), "storage.path: is for NFS; remove it"),
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
