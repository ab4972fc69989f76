"""The portal of a real experiment, while it runs and when it is done."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright import sync_api as playwright

pytestmark = pytest.mark.requires("browser")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PROGRAM = """
import sys
from nni.experiment import Experiment

experiment = Experiment("local")
experiment.config.experiment_name = "watched"
experiment.config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
experiment.config.tuner.name = "Random"
experiment.config.trial_command = "python3 trial.py"
experiment.config.trial_concurrency = 1
experiment.config.max_trial_number = 2
experiment.start(int(sys.argv[1]))
print(experiment._running.link, flush=True)
sys.stdin.readline()
"""

# The second trial waits until somebody has looked.
TRIAL = """
import os
import time
import nni

parameters = nni.get_next_parameter()
nni.report_intermediate_result(0.25)
print("a line for the log", flush=True)
while nni.get_sequence_id() == 1 and not os.path.exists(os.environ["SEEN"]):
    time.sleep(0.05)
nni.report_final_result(0.5)
"""


@pytest.fixture
def link(tmp_path: Path, free_port: int) -> Iterator[str]:
    """Start an experiment, and return the link that its program would print."""
    (tmp_path / "trial.py").write_text(TRIAL)
    environment = {**os.environ, "HOME": str(tmp_path), "SEEN": str(tmp_path / "seen")}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(free_port)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        yield program.stdout.readline().strip()
        program.communicate("\n", timeout=60)
    assert program.returncode == 0


@pytest.fixture
def page() -> Iterator[playwright.Page]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(20_000)
        yield page
        browser.close()


def test_the_portal_follows_a_running_experiment(page: playwright.Page, link: str, tmp_path: Path) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))

    page.goto(link)

    page.get_by_text("watched").first.wait_for()
    page.get_by_role("link", name="Trials", exact=True).click()
    page.locator("tbody tr", has_text="Succeeded").wait_for()
    page.locator("tbody tr", has_text="Running").wait_for()
    assert page.locator("tbody tr[aria-rowindex]").count() == 2
    page.locator("tbody tr", has_text="Succeeded").get_by_role("link").click()
    page.get_by_role("tab", name="Logs").click()
    page.locator(".line", has_text="a line for the log").wait_for()
    page.get_by_role("tab", name="Files").click()
    page.get_by_role("button", name="1/").wait_for()
    page.get_by_role("link", name="Logs", exact=True).click()
    page.get_by_role("button", name="Manager", exact=True).wait_for()
    page.get_by_role("link", name="Experiments", exact=True).click()
    page.locator("tbody tr", has_text="this one").wait_for()
    page.get_by_role("link", name="Trials", exact=True).click()
    (tmp_path / "seen").touch()
    page.locator("tbody tr", has_text="Running").wait_for(state="detached")
    page.get_by_text("Done", exact=True).first.wait_for()
    assert "token" not in page.url
    assert faults == []


@pytest.mark.parametrize("is_done", [False, True], ids=["running", "finished"])
def test_a_stop_from_the_portal_ends_calmly(page: playwright.Page, link: str, tmp_path: Path, is_done: bool) -> None:
    page.goto(link)
    page.locator(".counts a", has_text=re.compile(r"Running\s*1")).wait_for()
    if is_done:
        (tmp_path / "seen").touch()
        page.locator("header", has_text="Done").wait_for()
    page.get_by_role("button", name="Stop experiment").click()
    page.get_by_role("button", name="Stop it").click()

    page.locator(".notice.calm", has_text=re.compile("has stopped.* nnictl resume [a-z0-9]+ opens it")).wait_for()
    header = page.locator("header").inner_text()
    assert ("Stopped" in header, "Ended" in header, "No answer" in header) == (True, True, False)
    assert page.locator(".notice").count() == 1
    assert page.get_by_role("button", name="Stop experiment").or_(page.get_by_text("Stopping.")).count() == 0


def _tuner_of(home: Path) -> int:
    """Return the process id of the tuner that was started below a home."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"nni.tuners" in command and f"HOME={home}".encode() in environment:
            return int(process.name)
    raise AssertionError("no tuner runs")


def test_a_tuner_that_dies_is_red_while_the_trials_go_on(page: playwright.Page, link: str, tmp_path: Path) -> None:
    page.goto(link)
    page.locator(".light.ok", has_text="Tuner").wait_for()
    page.locator(".light.ok", has_text="Metrics").wait_for()
    # The tuner has been told of the first trial and has answered with the second: nothing more is asked of it.
    page.locator(".counts a", has_text=re.compile(r"Succeeded\s*1")).wait_for()
    page.locator(".counts a", has_text=re.compile(r"Running\s*1")).wait_for()

    os.kill(_tuner_of(tmp_path), signal.SIGKILL)

    page.locator(".light.failed", has_text="Tuner").wait_for(timeout=5000)
    page.locator(".notice", has_text="The tuner Random ended by itself (signal SIGKILL)").wait_for()
    page.locator("header", has_text="Finishing").wait_for()

    (tmp_path / "seen").touch()
    page.get_by_role("button", name="Start the tuner again").click()
    page.locator(".light.ok", has_text="Tuner").wait_for()
    page.locator("header", has_text="Done").wait_for()
