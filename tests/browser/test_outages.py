"""The portal while what an experiment leans on hangs or dies: real processes are stopped and killed."""

import contextlib
import os
import re
import signal
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
config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
config.tuner.name = "Random"
config.trial_concurrency = 2
service = config.training_service
service.operator = "pytorch-operator"
service.storage = K8sNfsConfig(server="10.20.30.40", path="/mnt/nfs/nni")
service.master = KubeflowRoleConfig(replicas=1, command="python3 trial.py", code_directory=".", cpu_number=1)
experiment.start(int(sys.argv[1]))
print(experiment._running.link, experiment._running.process.pid, flush=True)
sys.stdin.readline()
"""

TRIAL = """
import time
import nni

nni.report_intermediate_result(nni.get_next_parameter()["x"])
time.sleep(600)
"""


@pytest.fixture
def lonely(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A cluster that may be killed."""
    with Sandbox(nfs={"10.20.30.40:/mnt/nfs/nni": None}) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGCONT)


class Visit:
    """A page of an experiment's portal, and the process of its manager."""

    def __init__(self, page: playwright.Page, manager: int) -> None:
        self.page = page
        self.manager = manager

    def light(self, state: str, part: str) -> None:
        """Wait until a light is so; it has the time that a hang takes to be noticed."""
        self.page.locator(f"header .light.{state}", has_text=part).wait_for(timeout=60_000)

    def tuner(self) -> int:
        """Return the process of the tuner."""
        children = Path(f"/proc/{self.manager}/task/{self.manager}/children").read_text().split()
        (found,) = [int(pid) for pid in children if b"nni.tuners" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return found


@pytest.fixture
def visit(lonely: Sandbox, tmp_path: Path, free_port: int) -> Iterator[Visit]:
    """Open the portal of an experiment of two trials that run."""
    (tmp_path / "trial.py").write_text(TRIAL)
    command = [sys.executable, "-c", PROGRAM, str(free_port)]
    with (
        subprocess.Popen(
            command, cwd=tmp_path, env=dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program,
        playwright.sync_playwright() as driver,
    ):
        assert program.stdout is not None
        link, manager = program.stdout.readline().split()
        page = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS).new_page()
        page.set_default_timeout(30_000)
        page.goto(link)
        page.locator(".counts a", has_text=re.compile(r"Running\s*2")).wait_for()
        yield Visit(page, int(manager))
        program.communicate("\n", timeout=30)


def test_what_hangs_and_what_dies_is_shown_and_so_is_that_it_is_back(visit: Visit, lonely: Sandbox) -> None:
    page = visit.page
    for part in ("Tuner", "API server"):
        visit.light("ok", part)
    page.locator(".concerns", has_not=page.locator("li")).wait_for(state="attached")

    # A tuner that hangs is late with its answer, and a server that hangs gives no sign of life.
    tuner = visit.tuner()
    os.kill(tuner, signal.SIGSTOP)
    page.get_by_role("link", name="Trials", exact=True).click()
    page.locator("tbody tr", has_text="Running").first.get_by_role("link").click()
    page.get_by_role("button", name="Kill").click()
    page.locator("dialog").get_by_role("button", name="Kill").click()
    page.locator(".verdict", has_text="It was stopped by the user.").wait_for()
    os.kill(lonely.pid, signal.SIGSTOP)
    page.get_by_role("link", name="Overview").click()
    visit.light("failed", "API server")
    page.locator(".notice", has_text="what is shown of trials may be old").wait_for()
    page.locator(".concerns li", has_text="API server").wait_for()
    os.kill(lonely.pid, signal.SIGCONT)
    visit.light("ok", "API server")
    page.locator(".notice").wait_for(state="detached")

    visit.light("late", "Tuner")
    page.locator(".concerns li", has_text=re.compile("Tuner · no answer for .* s")).wait_for()
    page.get_by_text(f"kill -9 {tuner}").wait_for()
    os.kill(tuner, signal.SIGCONT)
    visit.light("ok", "Tuner")
    page.locator(".counts a", has_text=re.compile(r"Running\s*2")).wait_for()

    os.kill(lonely.pid, signal.SIGKILL)
    visit.light("failed", "API server")
    page.locator(".notice", has_text="what is shown of trials may be old").wait_for()

    # A stop says what it waits for, and goes on without the cluster.
    page.get_by_role("button", name="Stop experiment").click()
    page.get_by_role("button", name="Stop it").click()
    page.get_by_text(
        re.compile("waiting for the cluster to delete [0-9] jobs. The API server .* does not answer")
    ).wait_for()
    page.get_by_role("button", name="Stop without the cluster").click()
    page.get_by_role("button", name="Stop now").click()
    page.locator(".notice.calm", has_text="The experiment has stopped").wait_for()
    page.locator("header", has_text="Stopped").wait_for()
    command = "kubectl delete pytorchjobs.kubeflow.org,pods,secrets --namespace default --selector"
    page.locator(".notice.bad", has_text=re.compile(f"These jobs may be left on the cluster: .* {command}")).wait_for()
