"""What it costs to start: CPU time of whole processes, of this user and the kernel, children left out.

- ``import nni``, which every trial pays, over Python itself (goal: 30 ms);
- ``nnictl --help`` (goal: 200 ms);
- ``nnictl experiment list`` on a machine that knows ten experiments.

Processes are started one after the other; the first start of each is not counted, it may have to compile.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nni.records import registry

RUNS = int(os.environ.get("RUNS", "20"))
KNOWN = 10

NNICTL = (str(Path(sys.executable).with_name("nnictl")),)


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as home:
        _fill(Path(home, "nni-experiments", ".experiments"))
        python = _cpu(home, sys.executable, "-c", "pass")
        imported = _cpu(home, sys.executable, "-c", "import nni")
        _print("python -c pass", python)
        _print("python -c 'import nni'", imported)
        print(
            f"{'  of that import nni, ms':34} {1000 * (statistics.median(imported) - statistics.median(python)):8.1f}"
        )
        _print("nnictl --help", _cpu(home, *NNICTL, "--help"))
        _print("nnictl experiment list --all", _cpu(home, *NNICTL, "experiment", "list", "--all"))
    return 0


def _fill(directory: Path) -> None:
    """Enter experiments that have ended."""
    known = registry.Registry(directory)
    for number in range(KNOWN):
        place = directory.parent / f"ended{number}"
        known.write(
            registry.Known(
                id=place.name,
                name=f"experiment {number}",
                platform="kubeflow",
                port=8080,
                url_prefix=None,
                pid=2**22 + 1,  # above what Linux gives
                process_mark="gone",
                status="DONE",
                start_time=1795441642.0 + number,
                end_time=1795441700.0 + number,
                directory=place,
                working_directory=directory.parent,
            )
        )


def _cpu(home: str, *command: str) -> Sequence[float]:
    """Return the CPU seconds of each of the runs of a command."""
    environment = {"PATH": os.defpath, "HOME": home}
    taken = []
    for _ in range(RUNS + 1):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        taken.append(usage.ru_utime + usage.ru_stime)
    return taken[1:]


def _print(what: str, seconds: Sequence[float]) -> None:
    milliseconds = sorted(one * 1000 for one in seconds)
    p95 = milliseconds[min(len(milliseconds) - 1, int(len(milliseconds) * 0.95))]
    print(f"{what + ', ms':34} {statistics.median(milliseconds):8.1f} median {p95:8.1f} p95   ({RUNS} runs)")


if __name__ == "__main__":
    sys.exit(main())
