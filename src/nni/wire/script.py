"""The script that a container runs: it finds a Python and gives way to the runtime."""

import shlex

from nni.wire import layout

_SCRIPT = """\
#!/bin/sh
# Starts one replica of this role: see docs/contributing/pod.md of nni-kubeflow.
if [ -z "${{NNI_VOLUME:-}}" ]; then
    echo 'nni: this trial cannot start: NNI_VOLUME does not say where the storage volume is mounted.' >&2
    exit 126
fi
if ! command -v python3 >/dev/null 2>&1; then
    echo 'nni: this trial cannot start: the image has no python3 on its PATH; use one with Python 3.8 or newer.' >&2
    exit 127
fi
exec python3 -I -S "$NNI_VOLUME"/{runtime} {arguments}
"""


def script(
    *,
    experiment: str,
    trial: str,
    attempt: int,
    role: str,
    sequence: int,
    runtime: str,
    bundle: str,
    command: str,
) -> str:
    """Return the text of ``run_<role>.sh``, for any POSIX shell.

    Args:
        experiment: The experiment's id.
        trial: The trial's id.
        attempt: The attempt's number, from 1.
        role: The role's name.
        sequence: The trial's number in the experiment, from 0.
        runtime: sha256 of the runtime's archive: its name on the volume.
        bundle: sha256 of the code directory: the bundle's name on the volume.
        command: The role's command, as the user wrote it.
    """
    options = {
        "--experiment": experiment,
        "--trial": trial,
        "--attempt": str(attempt),
        "--role": role,
        "--bundle": bundle,
        "--sequence": str(sequence),
    }
    # The runtime is isolated (-I) and skips site-packages (-S): nothing in an image can break it.
    arguments = " ".join(name + " " + shlex.quote(text) for name, text in options.items())
    # With "=", a command that starts with a dash is still a value.
    arguments += " --command=" + shlex.quote(command)
    return _SCRIPT.format(runtime=shlex.quote(layout.runtime(experiment, runtime)), arguments=arguments)
