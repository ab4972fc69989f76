"""``import nni``: what a trial pays for it, and what it says about the parts of NNI that are gone."""

import json
import os
import subprocess
import sys

import pytest

import nni
from nni import errors
from nni.testing import pods

LOADED = """\
import json, sys
before = set(sys.modules)
import nni
print(json.dumps(sorted(set(sys.modules) - before)))
"""

# Each of these would cost a trial more than all of ours.
HEAVY = {"asyncio", "ctypes", "dataclasses", "email", "http", "inspect", "logging", "socket", "ssl", "subprocess"}
HEAVY |= {"tarfile", "tempfile", "threading", "traceback", "unittest", "urllib", "xml", "zipfile", "pathlib"}

PYTHONS = [sys.executable, pytest.param("python3.8", marks=pytest.mark.requires("python3.8"))]


@pytest.mark.parametrize("python", PYTHONS)
def test_import_nni_loads_the_standard_library_and_what_travels(python: str) -> None:
    source = nni.__path__[0].removesuffix("nni")
    command = [pods.interpreter(python, os.environ) or python, "-I", "-S", "-c"]
    code = f"import sys; sys.path.append({source!r})\n" + LOADED

    loaded = json.loads(subprocess.run([*command, code], capture_output=True, text=True, check=True).stdout)

    packages = {name.partition(".")[0] for name in loaded}
    assert packages - {"nni"} <= set(sys.stdlib_module_names) | {"sre_compile", "sre_constants", "sre_parse"}
    assert packages & HEAVY == set()
    assert {name for name in loaded if name.startswith("nni")} == {
        "nni",
        "nni._version",
        "nni.errors",
        "nni.trial",
        "nni.wire",
        *("nni.wire." + name for name in ("channel", "layout", "marker", "parameter", "report", "value")),
    }
    assert len(loaded) < 60


@pytest.mark.parametrize(
    "module",
    ["algorithms", "common", "compression", "contrib", "feature_engineering", "mutable", "nas", "retiarii", "tools"],
)
@pytest.mark.parametrize("inner", ["", ".pytorch", ".nn.pytorch"])
def test_a_module_that_is_gone_says_what_to_use(module: str, inner: str) -> None:
    name = f"nni.{module}"

    with pytest.raises(
        errors.RemovedModuleError, match=rf"^nni\.{module} \(.*\) is not part of nni-kubeflow"
    ) as caught:
        __import__(name + inner)

    assert caught.value.name == name
    assert str(caught.value).count("\n") == 0


def test_names_load_on_first_use() -> None:
    code = (
        "import sys, nni; a = 'nni.utils' in sys.modules; nni.ClassArgsValidator; print(a, 'nni.utils' in sys.modules)"
    )

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed == "False True\n"
    assert nni.utils.OptimizeMode("maximize") is nni.utils.OptimizeMode.Maximize
    assert issubclass(nni.NoMoreTrialError, errors.NniError)
    assert {"Experiment", "get_next_parameter", "report_final_result", "utils"} <= set(dir(nni))


def test_other_names_are_missing_as_usual() -> None:
    with pytest.raises(AttributeError, match="module 'nni' has no attribute 'nothing'"):
        _ = nni.nothing  # type: ignore[attr-defined]
