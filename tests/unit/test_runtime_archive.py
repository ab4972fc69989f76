"""The archive: everything that travels, nothing else, the same bytes every time."""

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nni.runtime import archive
from nni.testing import pods


def test_it_holds_what_travels() -> None:
    with zipfile.ZipFile(io.BytesIO(archive.build().content)) as packed:
        names = set(packed.namelist())

    assert {"__main__.py", "nni/__init__.py", "nni/trial.py", "nni/wire/report.py", "nni/nas.py"} <= names
    assert {name for name in names if "/" in name} == {name for name in names if name.startswith("nni/")}
    assert {name.split("/")[1] for name in names if name.count("/") > 1} == {"wire", "runtime"}
    assert "nni/runtime/archive.py" not in names
    assert not [name for name in names if not name.endswith(".py")]


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    code = "from nni.runtime import archive; print(archive.build().digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "PYTHONPYCACHEPREFIX": str(tmp_path)}

    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    built = archive.build()
    assert other.stdout.strip() == built.digest == hashlib.sha256(built.content).hexdigest()


@pytest.mark.parametrize("python", [sys.executable, pytest.param("python3.8", marks=pytest.mark.requires("python3.8"))])
@pytest.mark.parametrize("name", ["experiment", "tuner", "assessor", "testing"])
def test_what_stays_behind_says_so(tmp_path: Path, name: str, python: str) -> None:
    (tmp_path / "runtime.pyz").write_bytes(archive.build().content)
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'runtime.pyz')!r})\nimport nni.{name}"
    interpreter = pods.interpreter(python, os.environ) or python

    done = subprocess.run([interpreter, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)

    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ModuleNotFoundError: nni.{name} works where the experiment is started, not in its trials")
