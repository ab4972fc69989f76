"""The fixtures that the tests of other projects use, in a pytest of their own."""

import subprocess
import sys
from pathlib import Path

CONFTEST = """\
import pytest
pytest_plugins = ["nni.testing.plugin"]

@pytest.fixture(scope="session")
def sandbox_options():
    return {"nfs": {"10.0.0.1:/data": None}, "simulate": [{"duration": 0.1}]}
"""
TESTS = """\
import os
from kubernetes import client, config
import pytest
from nni.testing import faults

def test_a_test_has_a_cluster(cluster):
    assert os.environ["NNI_MOUNTS"] == f"10.0.0.1:/data={cluster.exports['10.0.0.1:/data']}"
    config.load_kube_config(os.environ["KUBECONFIG"])
    with client.ApiClient() as connected:
        assert [node.metadata.name for node in client.CoreV1Api(connected).list_node().items] == ["sandbox-0"]

def test_a_cluster_that_fails(cluster):
    config.load_kube_config(os.environ["KUBECONFIG"])
    with client.ApiClient() as connected, cluster.faults(faults.ServerError(code=503)):
        with pytest.raises(client.ApiException, match="503"):
            client.CoreV1Api(connected).list_node()
"""


def test_a_project_tests_on_a_cluster_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, "2 passed" in found.stdout) == (0, True), found.stdout
