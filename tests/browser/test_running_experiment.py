"""The portal of a real experiment, while it runs and when it is done."""

import os
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


def test_the_overview_follows_a_running_experiment(link: str, tmp_path: Path) -> None:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(20_000)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))

        page.goto(link)

        page.get_by_text("watched").first.wait_for()
        page.get_by_role("link", name="Trials", exact=True).click()
        page.locator("tbody tr", has_text="Succeeded").wait_for()
        page.locator("tbody tr", has_text="Running").wait_for()
        assert page.locator("tbody tr[aria-rowindex]").count() == 2
        (tmp_path / "seen").touch()
        page.locator("tbody tr", has_text="Running").wait_for(state="detached")
        page.get_by_text("Done", exact=True).first.wait_for()
        assert "token" not in page.url
        assert faults == []
        browser.close()
