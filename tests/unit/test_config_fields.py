"""Fields of configurations: how they are set, spelt, defaulted and compared."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nni import errors
from nni.config import base
from nni.experiment import (
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
)

# The same classes to a type checker that is not asked: what users write may be anything.
Role: Any = KubeflowRoleConfig
Nfs: Any = K8sNfsConfig
Algorithm: Any = AlgorithmConfig


def fields(config: base.Config) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in config._fields}


YAML_NAMES: list[tuple[type[base.Config], str]] = [
    (
        ExperimentConfig,
        "experimentName experimentType searchSpaceFile searchSpace trialCommand trialCodeDirectory trialConcurrency "
        "trialGpuNumber maxExperimentDuration maxTrialNumber maxTrialDuration nniManagerIp useAnnotation debug "
        "logLevel experimentWorkingDirectory tunerGpuIndices tuner assessor advisor trainingService sharedStorage "
        "operator apiVersion",
    ),
    (AlgorithmConfig, "name className codeDirectory classArgs"),
    (
        LocalConfig,
        "platform trialCommand trialCodeDirectory trialGpuNumber nniManagerIp debug useActiveGpu maxTrialNumberPerGpu "
        "gpuIndices reuseMode",
    ),
    (
        KubeflowConfig,
        "platform trialCommand trialCodeDirectory trialGpuNumber nniManagerIp debug operator apiVersion storage worker "
        "ps master reuseMode namespace",
    ),
    (KubeflowRoleConfig, "replicas command gpuNumber cpuNumber memorySize dockerImage codeDirectory"),
    (K8sNfsConfig, "storageType azureAccount azureShare keyVaultName keyVaultKey server path mountPath storage"),
]


@pytest.mark.parametrize(("cls", "names"), YAML_NAMES)
def test_the_names_in_yaml_and_json(cls: type[base.Config], names: str) -> None:
    # What this project adds stands between NNI's and is unset by default.
    ours = [base.camel(field.name) for field in cls._fields]
    assert [name for name in ours if name in names.split()] == names.split()
    # Each is read as that field.
    assert cls.from_dict(dict.fromkeys(names.split())).strange == {}


@pytest.mark.parametrize("name", ["gpu_number", "gpuNumber", "GpuNumber", "gpunumber", "GPU_NUMBER", "_gpuNumber_"])
def test_constructor_keys_match_regardless_of_case_and_underscores(name: str) -> None:
    assert Role(**{name: 3}).gpu_number == 3


@pytest.mark.parametrize("name", ["gpu_number", "gpuNumber", "gpunumber", "GPU_NUMBER"])
def test_attributes_match_regardless_of_case_and_underscores(name: str) -> None:
    role = KubeflowRoleConfig()

    setattr(role, name, 3)

    assert role.gpu_number == 3
    assert getattr(role, name) == 3
    assert role == KubeflowRoleConfig(gpu_number=3)


def test_the_camel_case_attributes_of_the_page_are_the_fields() -> None:
    role = KubeflowRowConfig()
    for name, value in {"gpuNumber": 1, "cpuNumber": 2, "memorySize": "4g"}.items():
        setattr(role, name, value)

    assert (role.gpu_number, role.cpu_number, role.memory_size) == (1, 2, "4g")


def test_the_pages_row_is_the_role() -> None:
    assert KubeflowRowConfig is KubeflowRoleConfig


def test_an_empty_storage_is_filled_later() -> None:
    storage = K8sNfsConfig()
    storage.server = "10.20.30.40"
    storage.path = "/mnt/nfs/nni"

    assert storage == K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")


def test_a_private_attribute_is_no_field() -> None:
    role = KubeflowRoleConfig()
    role._note = "mine"  # type: ignore[attr-defined]

    assert role == KubeflowRoleConfig()
    assert "_note" not in role.json()


@pytest.mark.parametrize(
    ("make", "sentences"),
    [
        (
            lambda: Role(replica=1),
            ["KubeflowRoleConfig has no field 'replica'; did you mean 'replicas'?"],
        ),
        # The nearest name comes in the user's own spelling.
        (
            lambda: Role(gpuNumbr=1),
            ["KubeflowRoleConfig has no field 'gpuNumbr'; did you mean 'gpuNumber'?"],
        ),
        (
            lambda: setattr(KubeflowRoleConfig(), "gpu_numbr", 1),
            ["KubeflowRoleConfig has no field 'gpu_numbr'; did you mean 'gpu_number'?"],
        ),
        (
            lambda: KubeflowRoleConfig().memorysiz,  # type: ignore[attr-defined]
            ["KubeflowRoleConfig has no field 'memorysiz'; did you mean 'memory_size'?"],
        ),
        (
            lambda: Nfs(sever="a", pth="/b"),
            [
                "K8sNfsConfig has no field 'sever'; did you mean 'server'?",
                "K8sNfsConfig has no field 'pth'; did you mean 'path'?",
            ],
        ),
        # Nothing is near: all names.
        (
            lambda: Algorithm(zzz=1),
            ["AlgorithmConfig has no field 'zzz'; use 'name', 'class_name', 'code_directory' or 'class_args'"],
        ),
        # Fields that are elsewhere.
        (
            lambda: setattr(ExperimentConfig("kubeflow"), "storage", 1),
            ["ExperimentConfig has no field 'storage'; set training_service.storage"],
        ),
        (
            lambda: ExperimentConfig(reuseMode=True),
            ["ExperimentConfig has no field 'reuseMode'; set training_service.reuse_mode"],
        ),
        (
            lambda: Role(gpuNumber=1, gpu_number=1),
            ["'gpuNumber' and 'gpu_number' are one field; keep one of the two"],
        ),
    ],
)
def test_a_field_that_is_not_there_is_an_attribute_error_with_the_nearest_name(
    make: Callable[[], object], sentences: list[str]
) -> None:
    with pytest.raises(errors.UnknownFieldError) as raised:
        make()

    assert isinstance(raised.value, AttributeError)
    assert str(raised.value).split("\n") == sentences


@pytest.mark.parametrize(
    ("config", "defaults"),
    [
        (
            KubeflowRoleConfig(),
            {
                "replicas": 1,
                "command": None,
                "gpu_number": 0,
                "cpu_number": None,
                "memory_size": None,
                "docker_image": "msranni/nni:latest",
                "code_directory": None,
            },
        ),
        (
            KubeflowConfig(),
            {
                "platform": "kubeflow",
                "trial_command": None,
                "trial_code_directory": None,
                "trial_gpu_number": None,
                "nni_manager_ip": None,
                "debug": None,
                "operator": None,
                "api_version": None,
                "storage": None,
                "worker": None,
                "ps": None,
                "master": None,
                "reuse_mode": True,
                "namespace": "default",
            },
        ),
        (
            LocalConfig(),
            {
                "platform": "local",
                "trial_command": None,
                "trial_code_directory": None,
                "trial_gpu_number": None,
                "nni_manager_ip": None,
                "debug": None,
                "use_active_gpu": None,
                "max_trial_number_per_gpu": 1,
                "gpu_indices": None,
                "reuse_mode": False,
            },
        ),
        (
            ExperimentConfig(),
            {
                "experiment_name": None,
                "experiment_type": "hpo",
                "search_space_file": None,
                "search_space": None,
                "trial_command": None,
                "trial_code_directory": ".",
                "trial_concurrency": None,
                "trial_gpu_number": None,
                "max_experiment_duration": None,
                "max_trial_number": None,
                "max_trial_duration": None,
                "nni_manager_ip": None,
                "use_annotation": False,
                "debug": False,
                "log_level": None,
                "experiment_working_directory": "~/nni-experiments",
                "tuner_gpu_indices": None,
                "tuner": AlgorithmConfig(),
                "assessor": AlgorithmConfig(),
                "advisor": AlgorithmConfig(),
                "training_service": None,
                "shared_storage": None,
                "operator": None,
                "api_version": None,
            },
        ),
        (AlgorithmConfig(), {"name": None, "class_name": None, "code_directory": None, "class_args": {}}),
        (CustomAlgorithmConfig(), {"name": None, "class_name": None, "code_directory": ".", "class_args": {}}),
    ],
)
def test_defaults_in_the_order_of_their_declaration(config: base.Config, defaults: dict[str, Any]) -> None:
    found = fields(config)
    assert [(name, value) for name, value in found.items() if name in defaults] == list(defaults.items())
    assert {name: value for name, value in found.items() if name not in defaults and value is not None} == {}


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (K8sStorageConfig(), None),
        (K8sStorageConfig(storage="nfs"), "nfs"),
        (K8sStorageConfig(server="a"), "nfs"),
        (K8sStorageConfig(azure_share="a"), "azureStorage"),
        (K8sStorageConfig(secret_name="a"), "azureStorage"),
        (K8sStorageConfig(claim_name="a"), "pvc"),
        (K8sStorageConfig(claim_name="a", output_limit=1), "pvc"),
        (K8sStorageConfig(output_limit=1), "manager"),
        (K8sNfsConfig(), "nfs"),
        (K8sAzureStorageConfig(), "azureStorage"),
        (K8sManagerStorageConfig(), "manager"),
        (K8sPvcConfig(), "pvc"),
    ],
)
def test_a_storage_knows_its_type(config: K8sStorageConfig, kind: str | None) -> None:
    assert config.kind == kind


@pytest.mark.parametrize(
    ("values", "cls"),
    [
        ({"storageType": "nfs"}, K8sNfsConfig),
        ({"storage_type": "azureStorage"}, K8sAzureStorageConfig),
        ({"storage": "nfs"}, K8sNfsConfig),
        ({"storageType": "nfs", "storage": "nfs"}, K8sNfsConfig),
        ({"server": "a", "path": "/b"}, K8sNfsConfig),
        ({"azureAccount": "a"}, K8sAzureStorageConfig),
        ({"storageType": "manager"}, K8sManagerStorageConfig),
        ({"storage": "pvc"}, K8sPvcConfig),
        ({"claimName": "a"}, K8sPvcConfig),
        ({"storageType": "s3"}, K8sStorageConfig),
        ({}, K8sStorageConfig),
    ],
)
def test_a_mapping_becomes_the_storage_that_it_describes(values: dict[str, str], cls: type[K8sStorageConfig]) -> None:
    config = KubeflowConfig(storage=values)

    assert type(config.storage) is cls


def test_mappings_become_configurations_wherever_they_are_put() -> None:
    whole = ExperimentConfig(
        tuner={"name": "TPE", "classArgs": {"seed": 1}},
        trainingService={"platform": "kubeflow", "worker": {"replicas": 2}},
    )
    later = ExperimentConfig()
    later.tuner = {"name": "TPE", "classArgs": {"seed": 1}}  # type: ignore[assignment]
    later.training_service = {"platform": "kubeflow"}
    later.training_service.worker = {"replicas": 2}

    assert whole == later
    assert whole.tuner == AlgorithmConfig(name="TPE", class_args={"seed": 1})
    assert whole.training_service == KubeflowConfig(worker=KubeflowRoleConfig(replicas=2))


@pytest.mark.parametrize(("platform", "cls"), [("kubeflow", KubeflowConfig), ("local", LocalConfig)])
def test_a_platforms_name_makes_its_empty_configuration(platform: str, cls: type[base.Config]) -> None:
    assert ExperimentConfig(platform).training_service == cls()


@pytest.mark.parametrize(
    ("platform", "says"),
    [
        ("kubflow", "training_service.platform: 'kubflow' is not a platform of this version; did you mean 'kubeflow'?"),
        ("remote", "training_service.platform: 'remote' is not a platform of this version; use 'kubeflow' or 'local'"),
        (5, "training_service.platform: '5' is not a platform of this version; use 'kubeflow' or 'local'"),
    ],
)
def test_a_platform_that_is_not_there(platform: Any, says: str) -> None:
    with pytest.raises(ValueError, match="platform") as raised:
        ExperimentConfig(platform)

    assert str(raised.value) == says


def test_a_platform_is_not_taken_twice() -> None:
    with pytest.raises(errors.ConfigError, match="is given twice"):
        ExperimentConfig("local", training_service={"platform": "kubeflow"})


def test_a_list_of_one_platform_is_that_platform() -> None:
    assert ExperimentConfig(training_service=[{"platform": "local"}]).training_service == LocalConfig()


def test_none_means_unset() -> None:
    role = Role(replicas=None, docker_image=None, gpu_number=None)

    assert role == KubeflowRoleConfig()


def test_numbers_of_numpy_are_numbers() -> None:
    role = Role(replicas=np.int64(2), cpu_number=np.float32(0.5), gpu_number=np.uint8(1))

    assert [type(value) for value in (role.replicas, role.cpu_number, role.gpu_number)] == [int, float, int]
    assert role == Role(replicas=2, cpu_number=0.5, gpu_number=1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (K8sNfsConfig(server="a"), K8sNfsConfig(server="b")),
        (K8sNfsConfig(), K8sAzureStorageConfig()),
        (KubeflowConfig(), LocalConfig()),
        (ExperimentConfig("local"), ExperimentConfig("kubeflow")),
        (AlgorithmConfig(name="TPE"), AlgorithmConfig(name="Random")),
    ],
)
def test_what_differs_is_not_equal(one: base.Config, other: base.Config) -> None:
    assert one != other
    assert copy.deepcopy(one) == one


def test_two_configurations_share_nothing() -> None:
    one, other = ExperimentConfig("local"), ExperimentConfig("local")
    one.tuner.class_args["optimize_mode"] = "maximize"

    assert other.tuner.class_args == {}


@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))])
def test_configurations_can_be_copied(through: Callable[[ExperimentConfig], ExperimentConfig]) -> None:
    config = ExperimentConfig("kubeflow", trialConcurrency=2)
    config.training_service.worker = Role(gpuNumber=1)

    assert through(config) == config
