"""The peers, each in an environment of its own under ``.bench/peers``, made when it is needed first."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

REQUIREMENTS = {
    # NNI as its images have it: without what its other parts need. Its Anneal is hyperopt's, of NNI's time.
    "nni": (["--no-deps", "-r", "requirements/stock-nni.txt"], ["hyperopt==0.2.7", "numpy==1.26.4", "setuptools<81"]),
    "optuna": (["optuna==5.0.0", "cmaes", "scipy"],),
    "hyperopt": (["hyperopt==0.3.0"],),
    "optuna-gp": (["optuna==5.0.0", "scipy", "torch==2.13.0"],),
}


def python(owner: str, home: Path) -> Path:
    """Return the interpreter that has a peer's packages; this one for our own tuners."""
    if owner == "ours":
        return Path(sys.executable)
    place = home / owner
    ready = place / "ready"
    if not ready.exists():
        print(f"installing {owner} in {place}")
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        for packages in REQUIREMENTS[owner]:
            subprocess.run([str(place / "bin" / "pip"), "install", "--quiet", *packages], check=True)
        ready.touch()
    return place / "bin" / "python"


def lines(portion: Sequence[Mapping[str, Any]], home: Path) -> Iterable[str]:
    """Do runs of one tuner in a process of its environment, and yield a line of JSON for each as it ends."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": "."}
    interpreter = python(portion[0]["tuner"].partition(" ")[0], home / "peers")
    command = [str(interpreter), "-W", "ignore", "-m", "benchmarks.search.worker", str(home / "tables.json")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write("".join(json.dumps(run) + "\n" for run in portion))
        worker.stdin.close()
        # NNI's log goes to standard output.
        yield from (line for line in worker.stdout if line.startswith("{"))
    if worker.returncode:
        print(f"{portion[0]['tuner']} ended with {worker.returncode}", file=sys.stderr)
