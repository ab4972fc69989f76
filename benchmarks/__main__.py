"""Runs the benchmarks one after the other, each in a sandbox of its own."""

import os
import subprocess
import sys


def main() -> int:
    """Run all; 0 when each came to its end."""
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    sandbox = [sys.executable, "-m", "nni", "sandbox", "--nfs", "10.20.30.40:/mnt/nfs/nni", "--"]
    return subprocess.run([*sandbox, sys.executable, "-m", "benchmarks.latency"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
