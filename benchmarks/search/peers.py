"""The peers, each in an environment of its own under ``.bench/peers``, made when it is needed first."""

import subprocess
import sys
from pathlib import Path

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
