"""Configurations in files: YAML of NNI's second format, search spaces, and what cannot be read."""

import json
from pathlib import Path

import pytest

from nni import check, errors
from nni.core import spec as specs
from nni.experiment import (
    AlgorithmConfig,
    ExperimentConfig,
    K8sNfsConfig,
    KubeflowConfig,
    KubeflowRoleConfig,
    LocalConfig,
)

SPACE = {"lr": {"_type": "loguniform", "_value": [1e-4, 0.1]}}

KUBEFLOW = """\
experimentName: it's mine
searchSpaceFile: space.json
trialConcurrency: 2
maxTrialNumber: 10
maxExperimentDuration: 1.5h
tuner:
  name: TPE
  classArgs:
    optimize_mode: maximize
trainingService:
  platform: kubeflow
  operator: pytorch-operator
  apiVersion: v1
  storage:
    storageType: nfs
    server: 10.20.30.40
    path: /mnt/nfs/nni
  worker:
    replicas: 2
    command: python3 model.py
    gpuNumber: 1
    cpuNumber: 1
    memorySize: 4g
    codeDirectory: code
    dockerImage: msranni/nni:latest
  master:
    command: python3 model.py
    cpuNumber: 0.5
"""

LOCAL = """\
searchSpace:
  lr: {_type: loguniform, _value: [1e-4, 0.1]}
trialConcurrency: 1
trialCommand: python3 model.py
trialCodeDirectory: code
experimentWorkingDirectory: ../experiments
tuner: {name: Random}
trainingService: {platform: local}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with code and a search space, which is not the current one."""
    place = tmp_path / "the files"
    (place / "code").mkdir(parents=True)
    (place / "space.json").write_text(json.dumps(SPACE))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return place


def load(place: Path, text: str) -> ExperimentConfig:
    file = place / "config.yml"
    file.write_text(text)
    return ExperimentConfig.load(file)


def test_yaml_is_what_its_fields_are_in_python(place: Path) -> None:
    assert load(place, KUBEFLOW) == ExperimentConfig(
        experiment_name="it's mine",
        search_space_file="space.json",
        trial_concurrency=2,
        max_trial_number=10,
        max_experiment_duration="1.5h",
        tuner=AlgorithmConfig(name="TPE", class_args={"optimize_mode": "maximize"}),
        training_service=KubeflowConfig(
            operator="pytorch-operator",
            api_version="v1",
            storage=K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni"),
            worker=KubeflowRoleConfig(
                replicas=2,
                command="python3 model.py",
                gpu_number=1,
                cpu_number=1,
                memory_size="4g",
                code_directory="code",
            ),
            master=KubeflowRoleConfig(command="python3 model.py", cpu_number=0.5),
        ),
    )


@pytest.mark.parametrize("spelt", [str.lower, lambda name: name, str.upper])
def test_names_in_yaml_are_matched_in_any_case(place: Path, spelt: type[str]) -> None:
    names = ("trialConcurrency", "trialCommand", "trialCodeDirectory", "trainingService")
    text = LOCAL
    for name in names:
        text = text.replace(name, spelt(name))

    assert check.checked(load(place, text)) == check.checked(load(place, LOCAL))


def test_relative_paths_start_at_the_file(place: Path) -> None:
    frozen = check.checked(load(place, LOCAL))

    assert isinstance(frozen.platform, specs.LocalSpec)
    assert [role.code_directory for role in frozen.platform.roles] == [str(place / "code")]
    assert frozen.working_directory == str(place.parent / "experiments")


def test_the_directories_of_roles_start_at_the_file(place: Path) -> None:
    frozen = check.checked(load(place, KUBEFLOW))

    assert isinstance(frozen.platform, specs.KubeflowSpec)
    assert {role.name: role.code_directory for role in frozen.platform.roles} == {
        "master": str(place),
        "worker": str(place / "code"),
    }


def test_relative_paths_of_a_configuration_in_python_start_at_the_current_directory(place: Path) -> None:
    config = ExperimentConfig("local", search_space_file="../the files/space.json", trial_code_directory=".")

    assert config.completed().trial_code_directory == str(place.parent / "elsewhere")
    assert config.completed().search_space == SPACE


def test_the_home_is_expanded(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))

    config = ExperimentConfig("local", trial_code_directory="~/code").completed()

    assert (config.trial_code_directory, config.experiment_working_directory) == (
        str(place / "code"),
        str(place / "nni-experiments"),
    )


def test_what_is_set_after_loading_starts_at_the_file_too(place: Path) -> None:
    config = load(place, LOCAL.replace("trialCodeDirectory: code\n", ""))
    config.trial_code_directory = "code"

    assert config.completed().trial_code_directory == str(place / "code")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("space.json", '{"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]}}'),
        ("space.json", '\ufeff{"lr": {"_type": "loguniform", "_value": [1e-4, 1e-1]}}'),
        ("space.yml", "lr: {_type: loguniform, _value: [1e-4, 0.1]}\n"),
        ("space.yml", "lr:\n  _type: loguniform\n  _value: [0.0001, 1.0e-1]\n"),
        # The name says nothing: both are tried.
        ("space.txt", "lr: {_type: loguniform, _value: [1e-4, 0.1]}\n"),
        ("space", '{"lr": {"_type": "loguniform", "_value": [1e-4, 0.1]},}'),
    ],
)
def test_a_search_space_is_json_or_yaml(place: Path, name: str, text: str) -> None:
    (place / name).write_text(text, encoding="utf-8")
    config = load(place, KUBEFLOW.replace("space.json", name))

    assert check.checked(config).search_space == SPACE
    assert config.json()["searchSpaceFile"] == str(place / name)


def test_the_search_space_in_the_file_goes_before_one_in_another(place: Path) -> None:
    config = load(place, LOCAL + "searchSpaceFile: is-not-there.json\n")

    assert check.checked(config).search_space == SPACE


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "searchSpaceFile: {file} cannot be read (No such file or directory)"),
        ("lr: [", "searchSpaceFile: {file} cannot be understood in line 1, column 6: "),
        ("lr: &a [*a]", "searchSpaceFile: {file} has an alias (*name) inside of what it stands for (&name)"),
        ("[" * 5000, "searchSpaceFile: {file} is nested too deeply to be read"),
        ("lr", "searchSpace: 'lr' is not a mapping of names to search spaces"),
        ('{"lr": {"_type": "loguniform", "_value": [0, NaN]}}', "searchSpace.lr._value"),
        ("1: {_type: uniform, _value: [0, 1]}", "searchSpace"),
    ],
)
def test_a_search_space_that_cannot_be_used(place: Path, text: str | None, says: str) -> None:
    file = place / "space.json"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)

    (problem,) = check.problems(load(place, KUBEFLOW))

    assert str(problem).startswith(says.format(file=file))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("", "does not hold a mapping; it should begin with a line such as 'trialConcurrency: 2'"),
        ("- a\n- b\n", "does not hold a mapping; it should begin with a line such as 'trialConcurrency: 2'"),
        ("just words\n", "does not hold a mapping; it should begin with a line such as 'trialConcurrency: 2'"),
        ("a: [1\nb: 2\n", "cannot be understood in line 2, column 2: expected ',' or ']', but got ':'"),
        ("a:\n\t- b\n", "cannot be understood in line 2, column 1: found character '\\t' that cannot start any token"),
        ("a: 1\na: 2\n", "cannot be understood in line 1, column 1: 'a' is there twice"),
        ("a: 1\n---\nb: 2\n", "cannot be understood in line 2, column 1: but found another document"),
        ("a: !!python/object:os.system {}\n", "cannot be understood in line 1, column 4: could not determine"),
        ("a: 2026-13-01\n", "cannot be understood: month must be in 1..12"),
        ("a: \x01\n", "cannot be understood: unacceptable character #x0001: special characters are not allowed"),
        ("a: &b {c: *b}\n", "has an alias (*name) inside of what it stands for (&name)"),
        ("a: " + "[" * 5000, "is nested too deeply to be read"),
        (b"a: \xff\n", "is not UTF-8 text (byte 3); save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_sentence(place: Path, text: str | bytes | None, says: str) -> None:
    file = place / "config.yml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(errors.ConfigError) as raised:
        ExperimentConfig.load(file)

    message = str(raised.value)
    assert message.startswith(f"{file}: {says}")
    assert "\n" not in message


def test_a_directory_is_no_file(place: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"cannot be read \(Is a directory\)"):
        ExperimentConfig.load(place)


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-4", 1e-4), ("1E3", 1000.0), ("-2.5e+3", -2500.0), ("1_000", 1000), ("'1e-4'", "1e-4"), ("1e", "1e")],
)
def test_numbers_with_an_exponent_are_numbers(place: Path, written: str, value: object) -> None:
    config = load(place, f"tuner: {{name: TPE, classArgs: {{x: {written}}}}}\n")

    assert config.tuner.class_args == {"x": value}


def test_mistakes_of_a_file_do_not_keep_it_from_loading(place: Path) -> None:
    config = load(place, "trialConcurency: 2\ntrainingService: {platform: local, gpu: 1}\n")

    assert config.training_service == LocalConfig()
    assert [problem.path for problem in check.problems(config)][:2] == ["trialConcurency", "trialConcurrency"]


LEGACY = """\
authorName: me
experimentName: old
trialConcurrency: 1
maxExecDuration: 1h
maxTrialNum: 10
trainingServicePlatform: kubeflow
searchSpacePath: search_space.json
multiPhase: false
tuner:
  builtinTunerName: TPE
  classArgs: {optimize_mode: maximize}
assessor:
  codeDir: .
  classFileName: mine.py
  className: Mine
trial:
  codeDir: .
  worker: {replicas: 1, command: python3 model.py, gpuNum: 0, cpuNum: 1, memoryMB: 8192, image: my/image}
kubeflowConfig:
  operator: tf-operator
  apiVersion: v1alpha2
  storage: azureStorage
  keyVault: {vaultName: vault, name: secret}
  azureStorage: {accountName: account, azureShare: share}
  uploadRetryCount: 3
"""

REWRITTEN = """\
is written in version 1 of NNI's format, which is not read; write it in version 2
authorName: has no meaning any more; remove it
maxExecDuration: is maxExperimentDuration now
maxTrialNum: is maxTrialNumber now
trainingServicePlatform: is trainingService.platform now
searchSpacePath: is searchSpaceFile now
multiPhase: has no meaning any more; remove it
tuner.builtinTunerName: is tuner.name now
assessor.codeDir: is assessor.codeDirectory now
assessor.classFileName: is assessor.className, as module.Class, now
trial.codeDir: is trialCodeDirectory now
trial.worker: is trainingService.worker now
trial.worker.gpuNum: is trainingService.worker.gpuNumber now
trial.worker.cpuNum: is trainingService.worker.cpuNumber now
trial.worker.memoryMB: is trainingService.worker.memorySize now
trial.worker.image: is trainingService.worker.dockerImage now
kubeflowConfig: is trainingService now
kubeflowConfig.storage: is trainingService.storage.storageType now
kubeflowConfig.keyVault.vaultName: is trainingService.storage.keyVaultName now
kubeflowConfig.keyVault.name: is trainingService.storage.keyVaultKey now
kubeflowConfig.azureStorage.accountName: is trainingService.storage.azureAccount now
kubeflowConfig.azureStorage.azureShare: is trainingService.storage.azureShare now
kubeflowConfig.uploadRetryCount: has no meaning any more; remove it
"""


def test_a_file_of_the_first_format_is_told_how_to_become_one_of_the_second(place: Path) -> None:
    with pytest.raises(errors.ConfigError) as raised:
        load(place, LEGACY)

    assert f"{raised.value}\n" == f"{place / 'config.yml'}: {REWRITTEN}"
