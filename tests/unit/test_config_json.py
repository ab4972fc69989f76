"""The canonical form of configurations: NNI's JSON, field by field and in its order."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nni import check, errors
from nni.config import base
from nni.experiment import (
    AlgorithmConfig,
    CustomAlgorithmConfig,
    ExperimentConfig,
    K8sAzureStorageConfig,
    K8sNfsConfig,
    K8sStorageConfig,
    KubeflowConfig,
    KubeflowRoleConfig,
    LocalConfig,
)

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory and a home of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def page() -> ExperimentConfig:
    """The sample of NNI's page about Kubeflow."""
    config = ExperimentConfig("kubeflow")
    config.search_space = SPACE
    config.tuner.name = "TPE"
    config.tuner.class_args["optimize_mode"] = "maximize"
    config.max_trial_number = 10
    config.trial_concurrency = 2
    config.operator = "pytorch-operator"
    config.api_version = "v1alpha2"
    config.training_service.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
    for name, replicas, gpus in (("worker", 2, 1), ("master", 1, 0)):
        role = KubeflowRoleConfig(replicas=replicas, command="python3 model.py")
        role.gpu_number, role.cpu_number, role.memory_size, role.code_directory = gpus, 1, "4g", "."
        setattr(config.training_service, name, role)
    return config


def role_json(replicas: int, gpus: int, place: Path) -> dict[str, Any]:
    return {
        "replicas": replicas,
        "command": "python3 model.py",
        "gpuNumber": gpus,
        "cpuNumber": 1,
        "memorySize": "4g",
        "dockerImage": "msranni/nni:latest",
        "codeDirectory": str(place),
    }


def page_json(place: Path) -> dict[str, Any]:
    return {
        "experimentType": "hpo",
        "searchSpace": SPACE,
        "trialCodeDirectory": str(place),
        "trialConcurrency": 2,
        "maxTrialNumber": 10,
        "useAnnotation": False,
        "debug": False,
        "logLevel": "info",
        "experimentWorkingDirectory": str(place / "home/nni-experiments"),
        "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}},
        "trainingService": {
            "platform": "kubeflow",
            "trialCommand": "",
            "trialCodeDirectory": str(place),
            "debug": False,
            "operator": "pytorch-operator",
            "apiVersion": "v1alpha2",
            "storage": {"storageType": "nfs", "server": "10.20.30.40", "path": "/mnt/nfs/nni", "storage": "nfs"},
            "worker": role_json(2, 1, place),
            "master": role_json(1, 0, place),
            "reuseMode": True,
            "namespace": "default",
        },
    }


def test_the_pages_sample(place: Path) -> None:
    assert json.dumps(page().json()) == json.dumps(page_json(place))


def test_a_local_experiment_as_nni_serves_it(place: Path) -> None:
    """The answer of a manager of NNI 3.0 to GET experiment, its directory aside."""
    space = {
        "x": {"_type": "uniform", "_value": [0, 1]},
        "net": {
            "_type": "choice",
            "_value": [{"_name": "a"}, {"_name": "b", "k": {"_type": "randint", "_value": [1, 5]}}],
        },
    }
    config = ExperimentConfig("local")
    config.search_space = space
    config.trial_command = "python3 trial.py"
    config.trial_concurrency = 2
    config.max_trial_number = 3
    config.experiment_working_directory = "exps"
    config.tuner.name = "TPE"
    config.tuner.class_args = {"optimize_mode": "maximize"}

    assert json.dumps(config.json(), separators=(",", ":")).replace(str(place), "/home/user/exp") == (
        '{"experimentType":"hpo","searchSpace":{"x":{"_type":"uniform","_value":[0,1]},"net":{"_type":"choice",'
        '"_value":[{"_name":"a"},{"_name":"b","k":{"_type":"randint","_value":[1,5]}}]}},'
        '"trialCommand":"python3 trial.py","trialCodeDirectory":"/home/user/exp","trialConcurrency":2,'
        '"maxTrialNumber":3,"useAnnotation":false,"debug":false,"logLevel":"info",'
        '"experimentWorkingDirectory":"/home/user/exp/exps",'
        '"tuner":{"name":"TPE","classArgs":{"optimize_mode":"maximize"}},'
        '"trainingService":{"platform":"local","trialCommand":"python3 trial.py",'
        '"trialCodeDirectory":"/home/user/exp","debug":false,"maxTrialNumberPerGpu":1,"reuseMode":false}}'
    )


AZURE: Mapping[str, Any] = {
    "azure_account": "account",
    "azure_share": "share",
    "key_vault_name": "vault",
    "key_vault_key": "secret",
}
AZURE_JSON = {
    "storageType": "azureStorage",
    "azureAccount": "account",
    "azureShare": "share",
    "keyVaultName": "vault",
    "keyVaultKey": "secret",
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            K8sNfsConfig(server="a", path="/b"),
            {"storageType": "nfs", "server": "a", "path": "/b", "storage": "nfs"},
        ),
        (K8sNfsConfig(), {"storageType": "nfs", "storage": "nfs"}),
        (
            K8sNfsConfig(server="a", path="/b", mount_path="/mnt"),
            {"storageType": "nfs", "server": "a", "path": "/b", "mountPath": "/mnt", "storage": "nfs"},
        ),
        (K8sAzureStorageConfig(**AZURE), {**AZURE_JSON, "storage": "azureStorage"}),
        (K8sStorageConfig(storage_type="azureStorage", **AZURE), AZURE_JSON),
        (
            KubeflowConfig(operator="tf-operator", storage=K8sAzureStorageConfig(**AZURE)),
            {
                "platform": "kubeflow",
                "operator": "tf-operator",
                "storage": {**AZURE_JSON, "storage": "azureStorage"},
                "reuseMode": True,
                "namespace": "default",
            },
        ),
        (LocalConfig(), {"platform": "local", "maxTrialNumberPerGpu": 1, "reuseMode": False}),
        (
            LocalConfig(trial_gpu_number=1, use_active_gpu=True, gpu_indices=[0, 1]),
            {
                "platform": "local",
                "trialGpuNumber": 1,
                "useActiveGpu": True,
                "maxTrialNumberPerGpu": 1,
                "gpuIndices": [0, 1],
                "reuseMode": False,
            },
        ),
        (
            KubeflowRoleConfig(command="true", memory_size=512),
            {
                "replicas": 1,
                "command": "true",
                "gpuNumber": 0,
                "memorySize": 512,
                "dockerImage": "msranni/nni:latest",
            },
        ),
        (AlgorithmConfig(name="TPE"), {"name": "TPE"}),
        # Arguments that were given, if none, from arguments that were not.
        (AlgorithmConfig(name="TPE", class_args={}), {"name": "TPE", "classArgs": {}}),
        (AlgorithmConfig(name="TPE", class_args={"seed": 1}), {"name": "TPE", "classArgs": {"seed": 1}}),
    ],
)
def test_a_part_by_itself(config: base.Config, expected: dict[str, Any]) -> None:
    assert list(config.json().items()) == list(expected.items())


def test_an_algorithm_of_the_users_own(place: Path) -> None:
    config = CustomAlgorithmConfig(class_name="mine.Tuner")

    assert config.json() == {"className": "mine.Tuner", "codeDirectory": str(place)}


def test_the_style_of_attributes_leaves_empty_arguments_and_the_style_of_mappings_none() -> None:
    attributes, mapping = page(), page()
    attributes.tuner.class_args.clear()
    mapping.tuner = {"name": "TPE"}  # type: ignore[assignment]

    assert attributes.json()["tuner"] == {"name": "TPE", "classArgs": {}}
    assert mapping.json()["tuner"] == {"name": "TPE"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"debug": True}, {"debug": True, "logLevel": "debug"}),
        ({"log_level": "warning"}, {"logLevel": "warning"}),
        ({"debug": True, "log_level": "error"}, {"logLevel": "error"}),
        # Sizes, durations and names stay as they were written.
        ({"max_experiment_duration": "1.5h"}, {"maxExperimentDuration": "1.5h"}),
        ({"max_trial_duration": 90}, {"maxTrialDuration": 90}),
        ({"experiment_name": "it's mine"}, {"experimentName": "it's mine"}),
        ({"trial_concurrency": 1}, {"trialConcurrency": 1}),
    ],
)
def test_fields_of_the_experiment(change: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    config = page()
    for name, value in change.items():
        setattr(config, name, value)

    assert {name: config.json()[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("trial_command", "python3 x.py", "python3 x.py"),
        ("nni_manager_ip", "10.0.0.5", "10.0.0.5"),
        ("debug", True, True),
    ],
)
def test_the_platform_takes_from_the_experiment_what_it_has_not_itself(name: str, value: Any, expected: Any) -> None:
    config = page()
    setattr(config, name, value)

    assert config.json()["trainingService"][base.camel(name)] == expected


def test_the_platforms_own_fields_stay() -> None:
    config = page()
    config.trial_command, config.training_service.trial_command = "outer", "inner"

    assert config.json()["trainingService"]["trialCommand"] == "inner"
    assert config.json()["trialCommand"] == "outer"


def test_a_local_platform_needs_no_address() -> None:
    config = ExperimentConfig("local", search_space=SPACE, tuner={"name": "TPE"}, trial_concurrency=1)
    config.trial_command, config.nni_manager_ip = "true", "10.0.0.5"

    assert "nniManagerIp" not in config.json()["trainingService"]


def test_an_advisor_takes_the_tuners_place() -> None:
    config = page()
    config.tuner, config.advisor = AlgorithmConfig(), config.tuner

    assert json.dumps(config.json()) == json.dumps(page().json())


@pytest.mark.parametrize("whose", ["config", "training_service", "both"])
def test_operator_and_version_are_the_same_in_both_places(whose: str, place: Path) -> None:
    config = page()
    if whose != "config":
        config.training_service.operator, config.training_service.api_version = config.operator, config.api_version
    if whose == "training_service":
        config.operator = config.api_version = None

    assert config.json() == page_json(place)


@pytest.mark.parametrize("of", [page, lambda: ExperimentConfig.from_dict(page().json())])
def test_the_canonical_copy_is_complete_and_the_original_is_left_alone(
    of: Callable[[], ExperimentConfig], place: Path
) -> None:
    config = of()
    copy = config.canonical_copy()

    assert config == of()
    assert copy.log_level == "info"
    assert copy.trial_code_directory == str(place)
    assert copy.training_service.operator == "pytorch-operator"
    assert copy.operator is None
    assert copy.json() == config.json()
    assert copy.canonical_copy() == copy


def test_a_manager_reads_the_canonical_json_as_the_same_experiment(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = check.checked(page())
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")

    again = check.checked(ExperimentConfig.from_dict(json.loads(json.dumps(spec.canonical))))

    assert again == spec


@pytest.mark.parametrize("call", ["validate", "json", "canonical_copy"])
def test_no_canonical_form_of_a_mistake(call: str) -> None:
    config = page()
    config.trial_concurrency = 0

    with pytest.raises(errors.ConfigError, match="trial_concurrency: 0 is not above 0"):
        getattr(config, call)()


def test_validation_of_what_is_right_returns_nothing() -> None:
    assert page().validate() is None  # type: ignore[func-returns-value]
    assert check.problems(page()) == []
