"""The script: any POSIX shell hands the command on untouched."""

import subprocess
from pathlib import Path

import pytest

from nni.wire import script


@pytest.mark.parametrize(
    "command",
    [
        "python3 train.py",
        'echo it\'s "quoted" $HOME `date` $(date) \\ | & ; < > * ? [a] {b} ~ # ! %',
        "first\nsecond\n\n\tthird",
        "-c --help",
        "'",
        "",
        "ünïcode 你好",
    ],
)
def test_arguments_arrive_as_they_are(tmp_path: Path, command: str) -> None:
    text = script.script(
        experiment="exp1",
        trial="k2f9z",
        attempt=2,
        role="worker",
        sequence=7,
        runtime="ab12",
        bundle="cd34",
        command=command,
    )
    (tmp_path / "run_worker.sh").write_text(text)
    # In place of Python: prints what it was given.
    (tmp_path / "python3").write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    (tmp_path / "python3").chmod(0o755)

    printed = subprocess.run(
        ["sh", tmp_path / "run_worker.sh"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "NNI_VOLUME": "/mnt/a volume"},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()

    assert printed.split("\0")[:-1] == [
        "-I",
        "-S",
        "/mnt/a volume/nni/exp1/runtime/ab12.pyz",
        *("--experiment", "exp1", "--trial", "k2f9z", "--attempt", "2", "--role", "worker"),
        *("--bundle", "cd34", "--sequence", "7"),
        "--command=" + command,
    ]
    assert str(tmp_path) not in text
