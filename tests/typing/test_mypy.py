"""What a user's own ``mypy --strict`` says of programs that use the installed package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent


@pytest.mark.parametrize("name", ["kubeflow_page.py", "public_api.py"])
def test_a_strict_type_checker_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    shutil.copy(PROGRAMS / name, tmp_path)
    environment = {name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "PYTHONPATH")}

    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, "Success: no issues found in 1 source file\n")


def test_a_strict_type_checker_finds_a_misspelt_field(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        'from nni.experiment import Experiment\n\nExperiment("local").config.trial_comand = "true"\n'
    )

    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert '"ExperimentConfig" has no attribute "trial_comand"; maybe "trial_command"?' in ended.stdout
