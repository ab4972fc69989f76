"""The portal of an experiment on the sandbox's cluster: what is done there happens to jobs and pods."""

import os
import re
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
config.max_trial_number = 8
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
    page.get_by_role("tab", name="Pods").click()
    page.get_by_role("row", name="worker-0 ended with exit code").wait_for()
    assert page.get_by_role("cell", name=re.compile("^Running")).count() == 0

    page.get_by_role("button", name="Clone and change").click()
    page.get_by_label("Parameters as JSON").fill('{"x": 2}')
    page.get_by_role("button", name="Add trial").click()
    page.get_by_text(re.compile("Trial number [0-9] was added.")).wait_for()
    page.get_by_role("link", name="Overview").click()
    page.locator(".best .figure", has_text="2").wait_for()
    page.get_by_role("link", name="Cluster").click()
    page.get_by_text("2 pods each").wait_for()

    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Stop experiment").click()
    page.get_by_role("button", name="Stop it").click()
    page.get_by_text("The manager does not answer").or_(page.locator("header", has_text="Stopped")).first.wait_for()


def test_limits_pausing_retrying_and_comparing(page: playwright.Page, link: str) -> None:
    page.goto(link)
    running = page.locator(".counts a", has_text=re.compile(r"Running\s*2"))
    running.wait_for()
    page.get_by_role("button", name="Change: Trials at once").click()
    page.get_by_label("Trials at once", exact=True).fill("3")
    page.get_by_role("button", name="Save").click()
    page.locator(".counts a", has_text=re.compile(r"Running\s*3")).wait_for()
    page.get_by_role("button", name="Change: Trials in all").click()
    page.get_by_label("Trials in all", exact=True).fill("5")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("of 5 trials").wait_for()
    page.get_by_role("button", name="Change: Time in all").click()
    page.get_by_label("Time in all", exact=True).fill("2h")
    page.get_by_role("button", name="Save").click()
    page.locator(".limits div", has_text="Time in all").filter(has_text="2 h").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.locator("header", has_text="Paused").wait_for()

    page.get_by_role("link", name="Trials", exact=True).click()
    page.locator("tbody tr", has_text="Running").nth(2).wait_for()
    boxes = page.locator("tbody input")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("button", name="Compare").click()
    page.locator("dialog tr.differs", has_text="x").wait_for()
    page.get_by_role("button", name="Close").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 4
    page.get_by_role("button", name="Kill").click()
    page.locator("dialog").get_by_role("button", name="Kill").click()
    # Paused as it is, no trial takes their places.
    page.locator("tbody tr", has_text="Stopped by user").nth(1).wait_for()
    assert page.locator("tbody tr[aria-rowindex]").count() == 3
    boxes.nth(1).uncheck()
    page.get_by_role("button", name="Retry").click()
    page.get_by_text("Trial number 3 was added.").wait_for()

    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Resume").click()
    page.locator(".counts a", has_text=re.compile(r"Running\s*3")).wait_for()
    page.get_by_role("link", name="Trials", exact=True).click()
    page.get_by_role("img", name=re.compile("Default metric of [45] trials by number.")).wait_for()
    page.get_by_role("tab", name="Hyper-parameters").click()
    page.get_by_text("A line for each trial appears here").wait_for()
    page.get_by_role("tab", name="Duration").click()
    page.get_by_role("list", name="Timeline").get_by_role("link").nth(3).wait_for()
    page.get_by_role("tab", name="Intermediate results").click()
    page.get_by_role("img", name=re.compile("Intermediate results of [45] trials")).wait_for()


def test_where_jobs_run_what_the_doctor_says_and_the_list_of_experiments(page: playwright.Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("link", name="Cluster").click()
    node = page.locator("tr.group", has_text="4 pods running")
    node.filter(has_text="ready").filter(has_text="64 CPU").wait_for()
    assert page.locator("tbody tr", has_text="worker-0").count() == 2
    # What was found at the start is there, and looking again finds that the storage is well, too.
    page.get_by_text("8 checks, nothing wrong").wait_for()
    page.get_by_role("button", name="Look again").click()
    page.get_by_text("9 checks, nothing wrong").wait_for()
    page.get_by_text("What was looked at").click()
    page.get_by_text("The cluster takes a trial's PyTorchJob").wait_for()

    page.locator("tbody tr", has_text="master-0").first.get_by_role("link").click()
    page.get_by_role("row", name=re.compile("master-0 running Running")).wait_for()
    page.get_by_role("button", name="Clone and change").click()
    page.get_by_label("Parameters as JSON").fill('{"x": 7}')
    page.get_by_role("button", name="Add trial").click()
    page.get_by_text(re.compile("Trial number [0-9] was added.")).wait_for()
    page.get_by_role("button", name="Kill").click()
    page.locator("dialog").get_by_role("button", name="Kill").click()
    page.get_by_role("link", name="Experiments").click()
    page.locator("tr.is-best td.number", has_text="7").wait_for()
    page.get_by_role("link", name="Analysis").click()
    page.get_by_text("1 trial with a result").wait_for()
    for tab in ("Slice", "Parallel coordinates", "Contour", "Distribution"):
        page.get_by_role("tab", name=tab).click()
    page.get_by_role("img", name="Empirical distribution of 1 metrics.").wait_for()
    page.get_by_role("link", name="Logs", exact=True).click()
    page.locator(".line").first.wait_for()

    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Stop experiment").click()
    page.get_by_role("button", name="Stop it").click()
    page.locator(".notice.calm", has_text="The experiment has stopped").wait_for()
    page.locator("header", has_text="Stopped").wait_for()
    assert page.locator(".notice.bad").count() == 0
