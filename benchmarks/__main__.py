"""Runs the benchmarks one after the other, each with a sandbox of its own; or those that are named."""

import os
import subprocess
import sys

IN_SANDBOX = [sys.executable, "-m", "nni", "sandbox", "--nfs", "10.20.30.40:/mnt/nfs/nni", "--"]
BENCHMARKS = {
    "latency": [*IN_SANDBOX, sys.executable, "-m", "benchmarks.latency"],
    "sandbox": [sys.executable, "-m", "benchmarks.sandbox"],
}


def main(names: list[str]) -> int:
    """Run the benchmarks of these names (all, without any); 0 when each came to its end."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"There is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    return max(subprocess.run(BENCHMARKS[name], check=False).returncode for name in names or BENCHMARKS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
