"""The portal of an experiment on the sandbox's cluster: what is done there happens to jobs and pods."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright import sync_api as playwright

from nni.testing.browser import CHROMIUM, FLAGS
from nni.testing.sandbox import Sandbox

pytestmark = pytest.mark.requires("browser")

PROGRAM = """
import sys
from nni.experiment import Experiment, K8sNfsConfig, KubeflowRoleConfig

experiment = Experiment("kubeflow")
config = experiment.config
config.experiment_name = "sandboxed"
config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
config.tuner.name = "Random"
config.max_trial_number = 2
config.trial_concurrency = 2
service = config.training_service
service.operator = "pytorch-operator"
service.api_version = "v1"
service.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
service.master = service.worker = KubeflowRoleConfig(
    replicas=1, command="python3 trial.py", code_directory=".", docker_image="python:3.11", cpu_number=1
)
experiment.start(int(sys.argv[1]))
print(experiment._running.link, flush=True)
sys.stdin.readline()
"""

# Trials wait to be killed, but for the one that says by its parameters that it is a user's own.
TRIAL = """
import sys
import time
import nni

parameters = nni.get_next_parameter()
nni.report_intermediate_result(parameters["x"])
print("\\x1b[32mreported\\x1b[0m", flush=True)
if parameters["x"] > 1:
    nni.report_final_result(parameters["x"])
    sys.exit(0)
time.sleep(300)
"""


@pytest.fixture
def link(cluster: Sandbox, tmp_path: Path, free_port: int) -> Iterator[str]:
    """Start an experiment on the sandbox's cluster, and return its portal's link."""
    (tmp_path / "trial.py").write_text(TRIAL)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(free_port)],
        cwd=tmp_path,
        env=dict(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        yield program.stdout.readline().strip()
        program.communicate("\n", timeout=60)


@pytest.fixture
def page() -> Iterator[playwright.Page]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def test_looking_into_killing_cloning_and_stopping(page: playwright.Page, link: str) -> None:
    page.goto(link)
    for part in ("Tuner", "API server", "Storage", "Metrics"):
        page.locator(".light.ok", has_text=part).wait_for()
    page.get_by_role("link", name="Trials", exact=True).click()
    page.locator("tbody tr", has_text="Running").nth(1).get_by_role("link").click()

    page.get_by_text("It has reported 1 intermediate result").wait_for()
    page.get_by_role("tab", name="Logs").click()
    page.get_by_role("button", name="worker-0").click()
    page.locator(".fg2", has_text="reported").wait_for()
    page.get_by_role("tab", name="Pods").click()
    page.get_by_role("row", name="worker-0 running").wait_for()
    page.get_by_role("tab", name="Job").click()
    page.locator("pre", has_text="kind: PyTorchJob").wait_for()
    page.get_by_role("tab", name="Files").click()
    page.get_by_role("button", name="checkpoint/").wait_for()

    page.get_by_role("button", name="Kill").click()
    page.locator("dialog").get_by_role("button", name="Kill").click()
    page.locator(".verdict", has_text="It was stopped by the user.").wait_for()
    page.get_by_role("tab", name="Job").click()
    page.get_by_text("There is no job of trial").wait_for()

    page.get_by_role("button", name="Clone and change").click()
    page.get_by_label("Parameters as JSON").fill('{"x": 2}')
    page.get_by_role("button", name="Add trial").click()
    page.get_by_text("Trial number 2 was added.").wait_for()
    page.get_by_role("link", name="Overview").click()
    page.locator(".best .figure", has_text="2").wait_for()
    page.get_by_role("link", name="Cluster").click()
    page.get_by_text("1 job running, 0 waiting; 2 pods each").wait_for()

    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Stop experiment").click()
    page.get_by_role("button", name="Stop it").click()
    page.get_by_text("The manager does not answer").or_(page.locator("header", has_text="Stopped")).first.wait_for()
