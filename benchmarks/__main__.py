"""Runs benchmarks one after the other: those that are named, or all."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

SANDBOX = (sys.executable, "-m", "nni", "sandbox", "--nfs", "10.20.30.40:/mnt/nfs/nni", "--")

PLAYED = (*SANDBOX[:-1], "--simulate", "--")

BENCHMARKS: Mapping[str, Sequence[str]] = {
    "startup": (),
    "latency": SANDBOX,
    "porter": (),
    "restore": (),
    "sandbox": (),
    "crowd": PLAYED,
}
"""What each runs in: a sandbox of its own, or nothing."""


def main() -> int:
    """Run them; 0 when each came to its end."""
    names = sys.argv[1:] or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        sys.exit(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    codes = []
    for name in names:
        print(f"-- {name}", flush=True)
        codes.append(
            subprocess.run([*BENCHMARKS[name], sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        )
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
