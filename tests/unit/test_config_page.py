"""Every Python snippet of NNI's page about Kubeflow but the sample, which runs in ``compat``."""

import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from nni.experiment import (
    ExperimentConfig,
    K8sAzureStorageConfig,
    K8sNfsConfig,
    KubeflowConfig,
)

TESTS = Path(__file__).parents[1]
PAGE = (TESTS / "compat/data/kubeflow_mode.rst").read_text()


def blocks() -> list[str]:
    """Return the code blocks of the page that are Python, whatever the page calls them."""
    found = []
    for part in PAGE.split(".. code-block:: ")[1:]:
        language, _, rest = part.partition("\n")
        lines = []
        for line in rest.splitlines():
            if line and not line.startswith(" "):
                break
            lines.append(line)
        if language != "bash":
            found.append(textwrap.dedent("\n".join(lines)).strip("\n"))
    return found


def run(snippet: str) -> KubeflowConfig:
    """Run a snippet on an empty configuration and return its platform."""
    config = ExperimentConfig("kubeflow")
    names = {
        "config": config,
        "K8sNfsConfig": K8sNfsConfig,
        "K8sAzureStorageConfig": K8sAzureStorageConfig,
        "your_azure_account_name": "account",
        "your_azure_share_name": "share",
        "your_vault_name": "vault",
        "your_secret_name": "secret",
    }
    exec(snippet, names)
    service = config.training_service
    assert isinstance(service, KubeflowConfig)
    return service


SNIPPETS = {
    "tf-operator": KubeflowConfig(operator="tf-operator"),
    "pytorch-operator": KubeflowConfig(operator="pytorch-operator"),
    "K8sNfsConfig": KubeflowConfig(storage=K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")),
    "K8sAzureStorageConfig": KubeflowConfig(
        storage=K8sAzureStorageConfig(
            azure_account="account", azure_share="share", key_vault_name="vault", key_vault_key="secret"
        )
    ),
}


@pytest.mark.parametrize("word", SNIPPETS)
def test_a_snippet_runs_as_it_stands(word: str) -> None:
    (snippet,) = [block for block in blocks() if word in block and "import" not in block]

    assert run(snippet) == SNIPPETS[word]


def test_no_snippet_is_left_out() -> None:
    sample, start = blocks()[-2:]
    assert "from nni.experiment import" in sample
    assert start == "experiment.run(8080)"
    assert len(blocks()) == len(SNIPPETS) + 2


def test_the_sample_describes_what_the_page_says() -> None:
    class Experiment(SimpleNamespace):
        """Holds a configuration, as the real one; nothing can be started."""

        def __init__(self, platform: str) -> None:
            super().__init__(config=ExperimentConfig(platform))

    sample = blocks()[-2]
    names: dict[str, object] = {"search_space": {"x": {"_type": "uniform", "_value": [0, 1]}}}
    exec(sample, names)
    experiment = names["experiment"]

    config = experiment.config  # type: ignore[attr-defined]
    config.validate()
    assert config.json()["trainingService"]["apiVersion"] == "v1alpha2"
    assert config.training_service.worker.docker_image == "msranni/nni:latest"


def test_type_checkers_see_the_sample_as_it_stands() -> None:
    """``make check`` runs mypy over that file; here it is held to the page."""
    assert "\n".join(blocks()[-2:]) in (TESTS / "typing/kubeflow_page.py").read_text()
