"""Images that have a stock nni 3.0 installed: ours comes first, and theirs is understood where it is used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nni.testing import pods

PYTHON = os.path.realpath(sys.executable)
LOCKED = Path(__file__).parents[2] / "requirements" / "stock-nni.txt"


@pytest.fixture(scope="session")
def stock(request: pytest.FixtureRequest) -> Path:
    """A virtual environment with the real nni 3.0, kept in pytest's cache; the wheel comes from the registry."""
    place = Path(request.config.cache.mkdir("stock-nni-3.0")) / "venv"
    ready = place / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, capture_output=True)
        install = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(LOCKED)]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = f"the registry gives no nni 3.0: {done.stderr.strip().splitlines()[-1]}"
            if "stock-nni" in os.environ.get("NNI_TEST_REQUIRE", "").split(","):
                pytest.fail(f"NNI_TEST_REQUIRE names stock-nni, but: {reason}", pytrace=False)
            pytest.skip(reason)
        ready.touch()
    return place / "bin" / "python3"


WHICH = "import nni, sys; print(nni.__file__, nni.__version__)"


def run(tmp_path: Path, stock: Path, command: str, code: str) -> tuple[pods.Pod, pods.Ended]:
    given = {"PATH": f"{stock.parent}:/usr/local/bin:/usr/bin:/bin"}
    pod = pods.Pod(
        tmp_path, command, code={"train.py": code}, parameters={"lr": 0.5}, environment=given, python=str(stock)
    )
    return pod, pod.run()


def test_it_is_there(stock: Path) -> None:
    printed = subprocess.run([stock, "-I", "-c", WHICH], capture_output=True, text=True, check=True).stdout

    assert "site-packages" in printed
    assert printed.endswith(" 3.0\n")


def test_the_trial_gets_ours(tmp_path: Path, stock: Path) -> None:
    pod, ended = run(
        tmp_path, stock, "python3 train.py", WHICH + "; nni.report_final_result(nni.get_next_parameter()['lr'])"
    )

    assert ended.stdout.decode().startswith(f"{pod.own}/runtime/nni/__init__.py ")
    assert [metric.value for metric in pod.metrics()] == ["0.5"]


@pytest.mark.parametrize("module", ["retiarii", "nas.nn.pytorch", "compression", "algorithms.hpo.tpe_tuner"])
def test_what_it_had_besides_gets_one_clear_sentence(tmp_path: Path, stock: Path, module: str) -> None:
    _, ended = run(tmp_path, stock, "python3 train.py", f"import nni.{module}")

    last = ended.stderr.decode().splitlines()[-1]
    assert ended.code == 1
    assert last.startswith(f"nni.errors.RemovedModuleError: nni.{module.partition('.')[0]} (")
    assert "is not part of nni-kubeflow" in last


STOCK = """\
import nni
parameters = nni.get_next_parameter()
for epoch in range(2):
    nni.report_intermediate_result({"default": epoch * parameters["lr"], "it's": float("nan")})
nni.report_final_result(float("inf"))
print(nni.__file__)
"""


@pytest.mark.parametrize("platform", ["kubeflow", "local"])
def test_where_the_stock_nni_is_used_its_metrics_count(tmp_path: Path, stock: Path, platform: str) -> None:
    # -I hides ours; the stock one prints its metrics.
    given = {"PATH": f"{stock.parent}:/usr/local/bin:/usr/bin:/bin", "NNI_PLATFORM": platform}
    pod = pods.Pod(
        tmp_path,
        "python3 -I train.py",
        code={"train.py": STOCK},
        parameters={"lr": 0.5},
        environment=given,
        python=str(stock),
    )

    ended = pod.run()

    assert ended.code == 0, ended.stderr.decode()
    assert "site-packages/nni" in ended.stdout.decode()
    assert [(metric.type, metric.sequence, metric.value) for metric in pod.metrics()] == [
        ("PERIODICAL", 0, '{"default": 0.0, "it\'s": NaN}'),
        ("PERIODICAL", 1, '{"default": 0.5, "it\'s": NaN}'),
        ("FINAL", 0, "Infinity"),
    ]
    assert "starts Python with -I" in ended.stderr.decode()
