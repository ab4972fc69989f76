"""What a role may ask of its pods, and what is wrong with what it asks."""

from pathlib import Path
from typing import Any

import pytest

from nni import errors
from nni.config import freezing
from nni.core import spec
from nni.experiment import ExperimentConfig, K8sNfsConfig, KubeflowRoleConfig


def describe(tmp_path: Path, service: dict[str, Any], **role: Any) -> ExperimentConfig:
    made = ExperimentConfig("kubeflow")
    config: Any = made
    config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    config.tuner.name = "Random"
    config.trial_concurrency = 1
    config.training_service.operator = "pytorch-operator"
    config.training_service.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
    config.training_service.master = KubeflowRoleConfig(command="true", code_directory=tmp_path, **role)
    for name, value in service.items():
        setattr(config.training_service, name, value)
    return made


def freeze(tmp_path: Path, service: dict[str, Any] | None = None, **role: Any) -> spec.ExperimentSpec:
    return freezing.freeze(describe(tmp_path, service or {}, **role))


def pod(tmp_path: Path, **role: Any) -> spec.PodSpec:
    return freeze(tmp_path, **role).platform.roles[0].pod


def test_everything_that_can_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auths": {"registry.example": {"auth": "x"}}}')

    found = pod(
        tmp_path,
        environment={"A": "x", "N": 5, "K": {"secretKeyRef": {"name": "s", "key": "k"}}},
        requests={"cpu": 0.5, "memory": "2Gi"},
        shm_size="64Mi",
        node_selector={"disk": "ssd"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        affinity={"nodeAffinity": {}},
        service_account="trainer",
        image_pull_secrets=["hub"],
        private_registry_auth_path=tmp_path / "config.json",
        priority_class="batch",
        volumes=[{"name": "d", "emptyDir": {}}],
        volume_mounts=[{"name": "d", "mountPath": "/d"}],
        labels={"team": "a"},
        annotations={"example.org/x": True},
        pod_template={"spec": {"hostIPC": True}},
    )

    assert found == spec.PodSpec(
        environment={"A": "x", "N": "5", "K": {"secretKeyRef": {"name": "s", "key": "k"}}},
        requests={"cpu": "0.5", "memory": "2Gi"},
        shm_mib=64,
        labels={"team": "a"},
        annotations={"example.org/x": "true"},
        fields={
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "serviceAccountName": "trainer",
            "priorityClassName": "batch",
            "imagePullSecrets": [{"name": "hub"}],
        },
        volumes=({"name": "d", "emptyDir": {}},),
        mounts=({"name": "d", "mountPath": "/d"},),
        registry_credentials=str(tmp_path / "config.json"),
        template={"spec": {"hostIPC": True}},
    )


def test_nothing_asked_for_is_nothing() -> None:
    assert spec.PodSpec().fields == {}


ROLE = "training_service.master."
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"environment": {"1A": "x"}}, f"{ROLE}environment.1A: is not a name that a variable can have"),
    ({"environment": {"NNI_X": "x"}}, f"{ROLE}environment.NNI_X: is set for every trial already"),
    ({"environment": {"A": {"secret": "x"}}}, f"{ROLE}environment.A: is neither a text nor one of configMapKeyRef"),
    ({"requests": {"cpu": "much"}}, f"{ROLE}requests.cpu: 'much' is not an amount"),
    ({"shm_size": "5"}, f"{ROLE}shm_size: '5' has no unit"),
    ({"node_selector": {"a b": "x"}}, f"{ROLE}node_selector.a b: is not a name that"),
    ({"node_selector": ["x"]}, f"{ROLE}node_selector: ['x'] is not a mapping"),
    ({"tolerations": ["x"]}, f"{ROLE}tolerations[0]: 'x' is not a mapping as Kubernetes has it"),
    ({"service_account": "My Account"}, f"{ROLE}service_account: 'My Account' is not the name of a Kubernetes object"),
    ({"image_pull_secrets": ["ok", "Not Ok"]}, f"{ROLE}image_pull_secrets[1]: 'Not Ok' is not the name"),
    ({"private_registry_auth_path": "/no/such"}, f"{ROLE}private_registry_auth_path: /no/such is not a Docker"),
    ({"volumes": [{"emptyDir": {}}]}, f"{ROLE}volumes[0]: has no name"),
    ({"volume_mounts": [{"name": "x"}]}, f"{ROLE}volume_mounts[0]: has no mountPath"),
    ({"labels": {"nni/trial": "x"}}, f"{ROLE}labels.nni/trial: begins with nni/, which the experiment itself uses"),
    ({"labels": {"a": "x y"}}, f"{ROLE}labels.a: 'x y' is not a value that a label can have"),
    ({"pod_template": {"a": float("nan")}}, f"{ROLE}pod_template: cannot be written as JSON"),
]


@pytest.mark.parametrize(("role", "says"), WRONG)
def test_a_mistake_is_said_with_its_path(role: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError) as raised:
        freeze(tmp_path, **role)

    assert [str(problem).startswith(says) for problem in raised.value.problems] == [True], raised.value


SERVICE: list[tuple[dict[str, Any], str]] = [
    ({"queue_name": "Team A"}, "training_service.queue_name: 'Team A' is not the name of a Kubernetes object"),
    ({"gpu_resource": "a b"}, "training_service.gpu_resource: 'a b' is not the name of a resource"),
    ({"nni_manager_url": "example.org"}, "training_service.nni_manager_url: 'example.org' is not a URL"),
    (
        {"nni_manager_url": "https://example.org", "intake_tls": True},
        "training_service.intake_tls: has no meaning beside nni_manager_url",
    ),
    ({"start_grace": "soon"}, "training_service.start_grace: 'soon' is not a duration"),
    ({"infrastructure_retries": -1}, "training_service.infrastructure_retries: -1 is below 0"),
    ({"keep_finished_jobs": "0s"}, "training_service.keep_finished_jobs: '0s' is not a duration above zero"),
    ({"operator": "pytorch"}, "training_service.operator: 'pytorch' is not an operator; did you mean 'pytorch-oper"),
]


@pytest.mark.parametrize(("service", "says"), SERVICE)
def test_a_mistake_of_the_platform_is_said(service: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError) as raised:
        freeze(tmp_path, service)

    assert [str(problem).startswith(says) for problem in raised.value.problems] == [True], raised.value


@pytest.mark.parametrize("field", ["priority_class", "pod_template", "shm_size"])
def test_what_a_train_job_cannot_hold_is_refused(field: str, tmp_path: Path) -> None:
    values = {"priority_class": "batch", "pod_template": {"spec": {}}, "shm_size": "1Gi"}
    config: Any = describe(tmp_path, {"operator": "trainer"})
    config.training_service.worker, config.training_service.master = config.training_service.master, None
    setattr(config.training_service.worker, field, values[field])

    with pytest.raises(errors.ConfigError, match=f"worker.{field}: has no place in the jobs of this operator"):
        freezing.freeze(config)


def test_how_often_and_how_long(tmp_path: Path) -> None:
    usual = freeze(tmp_path)
    service = {"infrastructure_retries": 0, "keep_finished_jobs": "1h", "keep_failed_jobs": True, "start_grace": "2m"}
    own = freeze(tmp_path, service)

    assert (usual.infrastructure_retries, usual.keep_finished_seconds, usual.keep_failed_jobs) == (3, 600, False)
    assert (own.infrastructure_retries, own.keep_finished_seconds, own.keep_failed_jobs) == (0, 3600, True)
    assert isinstance(own.platform, spec.KubeflowSpec)
    assert own.platform.start_grace_seconds == 120
