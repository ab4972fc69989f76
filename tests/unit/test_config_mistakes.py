"""Mistakes in configurations: all at once, each with its path as the user wrote it, and what to do."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nni import check, errors
from nni.core import spec as specs
from nni.experiment import (
    AlgorithmConfig,
    ExperimentConfig,
    K8sAzureStorageConfig,
    K8sNfsConfig,
    K8sStorageConfig,
    KubeflowConfig,
    KubeflowRoleConfig,
    LocalConfig,
)

SPACE = {"x": {"_type": "uniform", "_value": [0, 1]}}
STORAGES = "'manager', 'nfs', 'azureStorage' or 'pvc'"
SIZES = "'4Gi', '4gb', '512Mi' or, in MiB, 4096"
DURATIONS = "'90s', '30m', '1.5h', '2d' or, in seconds, 3600"
UNSET: Any = None


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory and a home of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def good(platform: str = "kubeflow") -> ExperimentConfig:
    config = ExperimentConfig(platform)
    config.search_space = SPACE
    config.tuner.name = "TPE"
    config.trial_concurrency = 2
    if platform == "local":
        config.trial_command = "python3 model.py"
        return config
    service = config.training_service
    service.operator = "pytorch-operator"
    service.api_version = "v1"
    service.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
    service.worker = KubeflowRoleConfig(replicas=2, command="python3 model.py", cpu_number=1, memory_size="4g")
    service.master = KubeflowRoleConfig(replicas=1, command="python3 model.py", cpu_number=1, memory_size="4g")
    return config


def changed(config: ExperimentConfig, changes: Mapping[str, Any]) -> ExperimentConfig:
    """Set fields by their dotted paths."""
    for path, value in changes.items():
        *objects, name = path.split(".")
        target: Any = config
        for one in objects:
            target = getattr(target, one)
        setattr(target, name, value)
    return config


def said(config: ExperimentConfig) -> list[str]:
    return [str(problem) for problem in check.problems(config)]


@pytest.mark.parametrize("platform", ["kubeflow", "local"])
def test_nothing_is_wrong_with_what_is_right(platform: str) -> None:
    assert said(good(platform)) == []


ROLE = "training_service.worker"

KUBEFLOW: list[tuple[dict[str, Any], list[str]]] = [
    # The experiment.
    (
        {"trial_concurrency": UNSET},
        ["trial_concurrency: is not set; write how many trials may run at once, such as 2"],
    ),
    ({"trial_concurrency": 0}, ["trial_concurrency: 0 is not above 0"]),
    ({"trialConcurrency": "2"}, ["trialConcurrency: '2' is not a whole number"]),
    ({"trial_concurrency": True}, ["trial_concurrency: True is not a whole number"]),
    ({"max_trial_number": 1.5}, ["max_trial_number: 1.5 is not a whole number"]),
    ({"max_trial_number": -1}, ["max_trial_number: -1 is not above 0"]),
    (
        {"trial_concurrency": 99_999_999_999, "max_trial_number": 10**10},
        [
            "trial_concurrency: 99999999999 is above 100000, the most that is possible",
            "max_trial_number: 10000000000 is above 1000000000, the most that is possible",
        ],
    ),
    (
        {"max_experiment_duration": "9999999d"},
        ["max_experiment_duration: '9999999d' is too long; write 1000000d at most, or nothing for no limit"],
    ),
    ({"experiment_name": 5}, ["experiment_name: 5 is not text"]),
    ({"debug": "yes"}, ["debug: 'yes' is not true or false"]),
    ({"log_level": "wraning"}, ["log_level: 'wraning' is not a level; did you mean 'warning'?"]),
    ({"experiment_type": "nas"}, ["experiment_type: 'nas' is not supported: 'hpo' is the only type"]),
    ({"max_experiment_duration": "1w"}, [f"max_experiment_duration: '1w' has the unknown unit 'w'; write {DURATIONS}"]),
    ({"max_trial_duration": "10"}, [f"max_trial_duration: '10' has no unit; write {DURATIONS}"]),
    ({"maxTrialDuration": 0}, [f"maxTrialDuration: 0 is not a duration above zero; write {DURATIONS}"]),
    ({"max_trial_duration": 1.5}, ["max_trial_duration: 1.5 is not text or a whole number"]),
    (
        {"use_annotation": True},
        ["use_annotation: annotations are not read; describe the search space in search_space"],
    ),
    ({"shared_storage": {"a": 1}}, ["shared_storage: is not supported; set training_service.storage"]),
    (
        {"tuner_gpu_indices": [0, "1"]},
        ["tuner_gpu_indices: [0, '1'] is not a list of whole numbers or a whole number or text"],
    ),
    (
        {"nni_manager_ip": "http://10.0.0.5:8080"},
        [
            "nni_manager_ip: 'http://10.0.0.5:8080' is not a name or an address; "
            "write for example '10.0.0.5', without http:// and port"
        ],
    ),
    # The search space.
    (
        {"search_space": UNSET},
        ['search_space: is not set; write for example {"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]}}'],
    ),
    ({"search_space": {}}, ["search_space: is empty; add a parameter at least"]),
    ({"search_space": 5}, ["search_space: 5 is not a mapping of names to search spaces"]),
    # The tuner.
    ({"tuner": UNSET}, []),
    ({"tuner": "TPE"}, ["tuner: 'TPE' is not an AlgorithmConfig, or a mapping with its fields"]),
    ({"tuner.name": "TPEE"}, ["tuner.name: there is no tuner 'TPEE'; did you mean 'TPE'?"]),
    ({"tuner.name": 5}, ["tuner.name: 5 is not text"]),
    ({"tuner.class_args": 5}, ["tuner.class_args: 5 is not a mapping"]),
    (
        {"tuner.classArgs": {"optimize_mode": "max"}},
        ["tuner.classArgs.optimize_mode: must be 'minimize' or 'maximize', not 'max'"],
    ),
    (
        {"tuner.class_args": {"seed": math.nan}},
        ["tuner.class_args.seed: nan cannot be written as JSON; use text, finite numbers, lists and mappings"],
    ),
    ({"tuner.code_directory": "."}, ["tuner.code_directory: is for class_name, an algorithm of your own; remove it"]),
    (
        {"tuner.class_name": "mine.Tuner"},
        ["tuner.name: is for built-in algorithms, and class_name is set; keep one of the two"],
    ),
    (
        {"tuner": {"className": "Tuner"}},
        ["tuner.className: 'Tuner' is not a class in a module; write for example 'my_tuner.MyTuner'"],
    ),
    ({"advisor.name": "BOHB"}, ["advisor: an advisor takes the tuner's place; keep one of the two"]),
    # The platform.
    (
        {"training_service": UNSET},
        [
            "training_service: is not set; name a platform: ExperimentConfig('kubeflow') in Python, "
            "trainingService: {platform: kubeflow} in YAML"
        ],
    ),
    (
        {"trainingService": 5},
        ["trainingService: 5 is not a KubeflowConfig or LocalConfig, or a mapping with a platform"],
    ),
    (
        {"training_service": "kubeflow"},
        ["training_service: 'kubeflow' is not a KubeflowConfig or LocalConfig, or a mapping with a platform"],
    ),
    (
        {"training_service": {"platform": "kubflow", "operator": "pytorch-operator"}},
        ["training_service.platform: 'kubflow' is not a platform of this version; did you mean 'kubeflow'?"],
    ),
    (
        {"training_service": {"operator": "pytorch-operator"}},
        ["training_service.platform: is not set; use 'kubeflow' or 'local'"],
    ),
    (
        {"training_service": [KubeflowConfig(), LocalConfig()]},
        ["training_service: lists several platforms, and an experiment runs on one; keep one of them"],
    ),
    (
        {"training_service.platform": "local"},
        ["training_service.platform: is 'local', but a KubeflowConfig is for 'kubeflow'"],
    ),
    # Operator and version, in either place.
    (
        {"training_service.operator": UNSET},
        ["training_service.operator: is not set; write for example 'pytorch-operator'"],
    ),
    (
        {"training_service.operator": "pytorch"},
        ["training_service.operator: 'pytorch' is not an operator; did you mean 'pytorch-operator'?"],
    ),
    (
        {"training_service.operator": UNSET, "operator": "pytorch_operater"},
        ["operator: 'pytorch_operater' is not an operator; did you mean 'pytorch-operator'?"],
    ),
    ({"training_service.operator": UNSET, "operator": 5}, ["operator: 5 is not text"]),
    (
        {"operator": "tf-operator"},
        ["training_service.operator: is 'pytorch-operator', but operator is 'tf-operator'; keep one of them"],
    ),
    (
        {"apiVersion": "v1beta1"},
        ["training_service.api_version: is 'v1', but apiVersion is 'v1beta1'; keep one of them"],
    ),
    (
        {"training_service.operator": "tf-operator"},
        ["training_service.master: is not a role of 'tf-operator'; use 'chief', 'worker', 'ps' or 'evaluator'"],
    ),
    (
        {"training_service.apiVersion": "1.0"},
        ["training_service.apiVersion: '1.0' is not an API version; write for example 'v1'"],
    ),
    (
        {"training_service.namespace": "My_team"},
        ["training_service.namespace: 'My_team' is not the name of a Kubernetes namespace"],
    ),
    (
        {"trial_gpu_number": 1},
        [f"trial_gpu_number: has no meaning on kubeflow; set the GPUs of each role, as in {ROLE}"],
    ),
    # Roles.
    (
        {ROLE: UNSET, "training_service.master": UNSET},
        [f"training_service: has no role; set 'master' or 'worker', as {ROLE}"],
    ),
    ({ROLE: "python3 x.py"}, [f"{ROLE}: 'python3 x.py' is not a KubeflowRoleConfig, or a mapping with its fields"]),
    (
        {"training_service.ps": {"command": "true"}},
        ["training_service.ps: is not a role of 'pytorch-operator'; use 'master' or 'worker'"],
    ),
    (
        {"training_service.master.replicas": 2},
        ["training_service.master.replicas: 2 is not 1, and a job has exactly one master"],
    ),
    ({f"{ROLE}.replicas": 0}, [f"{ROLE}.replicas: 0 is not above 0"]),
    ({f"{ROLE}.cpu_number": "one"}, [f"{ROLE}.cpu_number: 'one' is not a number"]),
    ({f"{ROLE}.cpuNumber": -1}, [f"{ROLE}.cpuNumber: -1 is not above 0; write for example 1 or 0.5"]),
    ({f"{ROLE}.cpu_number": math.inf}, [f"{ROLE}.cpu_number: inf is not above 0; write for example 1 or 0.5"]),
    ({f"{ROLE}.gpuNumber": -1}, [f"{ROLE}.gpuNumber: -1 is below 0"]),
    ({f"{ROLE}.gpu_number": 0.5}, [f"{ROLE}.gpu_number: 0.5 is not a whole number"]),
    ({f"{ROLE}.memorySize": "4x"}, [f"{ROLE}.memorySize: '4x' has the unknown unit 'x'; write {SIZES}"]),
    ({f"{ROLE}.memory_size": "4096"}, [f"{ROLE}.memory_size: '4096' has no unit; write {SIZES}"]),
    ({f"{ROLE}.memory_size": 0}, [f"{ROLE}.memory_size: 0 is not a size above zero; write {SIZES}"]),
    ({f"{ROLE}.docker_image": "my image"}, [f"{ROLE}.docker_image: 'my image' is not the name of a container image"]),
    (
        {f"{ROLE}.command": " \n"},
        [f"{ROLE}.command: is not set; write what each worker runs, such as 'python3 model.py'"],
    ),
    ({f"{ROLE}.command": ["python3", "x.py"]}, [f"{ROLE}.command: ['python3', 'x.py'] is not text"]),
    ({f"{ROLE}.command": UNSET, "trial_command": 5}, ["trial_command: 5 is not text"]),
    # Storage.
    (
        {"training_service.storage": K8sNfsConfig()},
        [
            "training_service.storage.server: is not set; "
            "write the name or the address of the NFS server, such as '10.20.30.40'",
            "training_service.storage.path: is not set; "
            "write the directory that the NFS server exports, such as '/mnt/nfs/nni'",
        ],
    ),
    (
        {"training_service.storage.path": "mnt"},
        ["training_service.storage.path: 'mnt' is not absolute; write for example '/mnt/nfs/nni'"],
    ),
    (
        {"training_service.storage.server": "10.20.30.40:/mnt"},
        [
            "training_service.storage.server: '10.20.30.40:/mnt' is not the name or the address of a server; "
            "write for example '10.20.30.40'"
        ],
    ),
    (
        {"training_service.storage.azureShare": "share"},
        ["training_service.storage.azureShare: is for Azure storage; remove it"],
    ),
    (
        {"training_service.storage": K8sStorageConfig()},
        [f"training_service.storage.storage_type: is not set; use {STORAGES}"],
    ),
    (
        {"training_service.storage": {"storageType": "nsf", "server": "a"}},
        ["training_service.storage.storageType: 'nsf' is not a type of storage; did you mean 'nfs'?"],
    ),
    (
        {"training_service.storage": {"storage": "s3"}},
        [f"training_service.storage.storage: 's3' is not a type of storage; use {STORAGES}"],
    ),
    (
        {"training_service.storage.storage": "azureStorage"},
        [
            "training_service.storage.storage: is 'azureStorage', "
            "but training_service.storage.storage_type is 'nfs'; keep one of them"
        ],
    ),
    ({"training_service.storage": {"storageType": 5}}, ["training_service.storage.storageType: 5 is not text"]),
    (
        {"training_service.storage": K8sAzureStorageConfig(azure_account="abc", azure_share="bcd")},
        [
            f"training_service.storage.{name}: is not set; name the {what} with the account's key, "
            "or set secret_name to a Secret of the cluster that has it"
            for name, what in (("key_vault_name", "Key Vault"), ("key_vault_key", "vault's secret"))
        ],
    ),
]


@pytest.mark.parametrize(("changes", "says"), KUBEFLOW)
def test_one_mistake_is_one_sentence(changes: dict[str, Any], says: list[str]) -> None:
    assert said(changed(good(), changes)) == says


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"trial_command": UNSET},
            ["trial_command: is not set; write what a trial runs, such as 'python3 model.py'"],
        ),
        ({"trial_command": " "}, ["trial_command: ' ' is no command; write for example 'python3 model.py'"]),
        (
            {"trial_gpu_number": 1},
            ["trial_gpu_number: has no effect in this version; remove it, and trials see all GPUs of this machine"],
        ),
        (
            {"training_service.max_trial_number_per_gpu": 2},
            ["training_service.max_trial_number_per_gpu: 2 has no effect in this version; remove it"],
        ),
        ({"operator": "pytorch-operator"}, ["operator: is for the platform 'kubeflow'; remove it"]),
    ],
)
def test_one_mistake_on_the_local_platform_is_one_sentence(changes: dict[str, Any], says: list[str]) -> None:
    assert said(changed(good("local"), changes)) == says


@pytest.mark.parametrize(
    "path", ["trial_code_directory", "training_service.trialCodeDirectory", f"{ROLE}.codeDirectory"]
)
@pytest.mark.parametrize("value", ["nowhere", "~nobody-of-that-name/code"])
def test_a_directory_that_is_not_there(path: str, value: str, place: Path) -> None:
    says = f"{path}: {value!r} is not a directory of this machine (looked for {place / value})"

    assert said(changed(good(), {path: value})) == [says]


def test_mistakes_come_together_each_with_its_path() -> None:
    config = changed(
        good(),
        {
            "trialConcurrency": 0,
            "tuner.name": "TPEE",
            f"{ROLE}.cpuNumber": -1,
            "training_service.master.memory_size": "much",
            "training_service.storage.path": "relative",
            "search_space": {"x": {"_type": "unifrom", "_value": [0, 1]}},
        },
    )

    with pytest.raises(errors.ConfigError) as raised:
        check.checked(config)

    assert [problem.path for problem in raised.value.problems] == [
        "trialConcurrency",
        "search_space.x._type",
        "training_service.master.memory_size",
        f"{ROLE}.cpuNumber",
        "training_service.storage.path",
        "tuner.name",
    ]
    assert len(str(raised.value).split("\n")) == 6


CAMEL = {
    "searchSpace": SPACE,
    "tuner": {"name": "TPE", "classArgs": {"optimise_mode": "maximize"}},
    "trialConcurency": 2,
    "maxTrialNumber": 0,
    "trainingService": {
        "platform": "kubeflow",
        "operator": "pytorch-operator",
        "apiVersion": "one",
        "storage": {"server": "10.20.30.40"},
        "worker": {"replicas": 2, "cpuNumbr": 1, "memorySize": "4x"},
        "mastr": {},
    },
}


def snake(value: Any) -> Any:
    """Write the names of fields as Python does."""
    if not isinstance(value, Mapping) or value is SPACE:
        return value
    return {
        "".join("_" + one.lower() if one.isupper() else one for one in name): snake(of) for name, of in value.items()
    }


@pytest.mark.parametrize(
    ("values", "paths", "nearest"),
    [
        (
            CAMEL,
            [
                "trialConcurency",
                "trialConcurrency",
                "maxTrialNumber",
                "trainingService.mastr",
                "trainingService.apiVersion",
                "trainingService.worker.cpuNumbr",
                "trainingService.worker.command",
                "trainingService.worker.memorySize",
                "trainingService.storage.path",
                "tuner.classArgs.optimise_mode",
            ],
            ["trialConcurrency", "master", "cpuNumber"],
        ),
        (
            snake(CAMEL),
            [
                "trial_concurency",
                "trial_concurrency",
                "max_trial_number",
                "training_service.mastr",
                "training_service.api_version",
                "training_service.worker.cpu_numbr",
                "training_service.worker.command",
                "training_service.worker.memory_size",
                "training_service.storage.path",
                "tuner.class_args.optimise_mode",
            ],
            ["trial_concurrency", "master", "cpu_number"],
        ),
    ],
    ids=["camelCase", "snake_case"],
)
def test_paths_and_advice_are_spelt_as_the_file_is(values: Any, paths: list[str], nearest: list[str]) -> None:
    problems = check.problems(ExperimentConfig.from_dict(values))

    assert [problem.path for problem in problems] == paths
    advised = [problem.message for problem in problems if "did you mean" in problem.message]
    assert [message.split("'")[-2] for message in advised] == nearest


@pytest.mark.parametrize(
    ("values", "path"),
    [
        # Nothing in the storage tells how it is spelt: what it stands in does.
        (
            {"trialConcurrency": 1, "trainingService": {"platform": "kubeflow", "storage": {}}},
            "trainingService.storage",
        ),
        (
            {"trial_concurrency": 1, "training_service": {"platform": "kubeflow", "storage": {}}},
            "training_service.storage",
        ),
    ],
)
def test_an_unset_field_is_spelt_as_its_surroundings_are(values: Any, path: str) -> None:
    name = "storageType" if "S" in path else "storage_type"

    assert f"{path}.{name}" in [problem.path for problem in check.problems(ExperimentConfig.from_dict(values))]


def test_a_field_written_twice_is_a_mistake() -> None:
    values = {**good().json(), "trial_concurrency": 3}

    assert said(ExperimentConfig.from_dict(values)) == [
        "trial_concurrency: 'trialConcurrency' and 'trial_concurrency' are one field; keep one of the two"
    ]


def test_parts_check_their_own_fields() -> None:
    config = KubeflowConfig(worker=KubeflowRoleConfig(), storage={"server": 5})
    config.worker.cpuNumber = "one"

    with pytest.raises(errors.ConfigError) as raised:
        config.validate()

    assert [problem.path for problem in raised.value.problems] == ["storage.server", "worker.cpuNumber"]


@pytest.mark.parametrize(
    ("written", "mib"),
    [("4g", 4096), ("4gb", 4096), ("4Gi", 4096), ("512Mi", 512), ("1.5gb", 1536), ("100kb", 1), (4096, 4096)],
)
def test_sizes_in_nnis_units_and_kubernetes(written: str | int, mib: int) -> None:
    frozen = check.checked(changed(good(), {f"{ROLE}.memory_size": written})).platform

    assert isinstance(frozen, specs.KubeflowSpec)
    assert [role.memory_mib for role in frozen.roles] == [4096, mib]


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("1.5h", 5400), ("2 D", 172800), (3600, 3600)])
def test_durations_are_seconds(written: str | int, seconds: int) -> None:
    config = changed(good(), {"max_experiment_duration": written, "max_trial_duration": written})

    frozen = check.checked(config)

    assert (frozen.max_experiment_seconds, frozen.max_trial_seconds) == (seconds, seconds)


def test_what_is_frozen_is_what_was_written(place: Path) -> None:
    config = changed(
        good(), {"nni_manager_ip": "10.0.0.5", "training_service.storage.mount_path": ".", "advisor": None}
    )

    frozen = check.checked(config)

    role = specs.RoleSpec(
        name="master",
        replicas=1,
        command="python3 model.py",
        code_directory=str(place),
        image="msranni/nni:latest",
        cpus=1,
        memory_mib=4096,
        gpus=0,
    )
    assert frozen.platform == specs.KubeflowSpec(
        operator="pytorch-operator",
        api_version="v1",
        namespace="default",
        roles=(role, specs.RoleSpec(**{**_fields(role), "name": "worker", "replicas": 2})),
        storage=specs.NfsSpec(server="10.20.30.40", path="/mnt/nfs/nni", mount_path=str(place)),
    )
    assert frozen.tuner == specs.AlgorithmSpec(name="TPE")
    assert frozen.manager_address == "10.0.0.5"
    assert frozen.working_directory == str(place / "home/nni-experiments")


def _fields(role: specs.RoleSpec) -> dict[str, Any]:
    return {name: getattr(role, name) for name in role.__slots__}


def test_a_configuration_built_of_parts_equals_one_set_field_by_field() -> None:
    built = ExperimentConfig(
        search_space=SPACE,
        tuner=AlgorithmConfig(name="TPE", class_args={}),
        trial_concurrency=2,
        training_service=KubeflowConfig(
            operator="pytorch-operator",
            api_version="v1",
            storage=K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni"),
            worker=KubeflowRoleConfig(replicas=2, command="python3 model.py", cpu_number=1, memory_size="4g"),
            master=KubeflowRoleConfig(replicas=1, command="python3 model.py", cpu_number=1, memory_size="4g"),
        ),
    )

    assert built == good()
