"""Where everything stands on the volume: the only place that knows.

All paths are relative to the volume's root, with ``/`` between the names.
"""

ROOT = "nni"


def experiment(experiment_id: str) -> str:
    """Return the experiment's directory."""
    return ROOT + "/" + experiment_id


def bundle(experiment_id: str, digest: str) -> str:
    """Return the path of a bundle, by the sha256 of what it holds."""
    return experiment(experiment_id) + "/code/" + digest + ".tar.gz"


def runtime(experiment_id: str, digest: str) -> str:
    """Return the path of the runtime's archive, by its sha256."""
    return experiment(experiment_id) + "/runtime/" + digest + ".pyz"


def trial(experiment_id: str, trial_id: str) -> str:
    """Return the trial's directory."""
    return experiment(experiment_id) + "/" + trial_id


def checkpoint(experiment_id: str, trial_id: str) -> str:
    """Return the directory that survives the trial's attempts."""
    return trial(experiment_id, trial_id) + "/" + CHECKPOINT


def attempt(experiment_id: str, trial_id: str, number: int) -> str:
    """Return the directory of one attempt, counted from 1."""
    return trial(experiment_id, trial_id) + "/" + str(number)


def replica(experiment_id: str, trial_id: str, number: int, role: str, index: int) -> str:
    """Return the directory of one replica of an attempt."""
    return attempt(experiment_id, trial_id, number) + "/" + role + "-" + str(index)


CHECKPOINT = "checkpoint"
PARAMETERS = "parameter.cfg"
JOURNAL = "metrics.jsonl"
EXIT = "exit.json"
STDOUT = "stdout"
STDERR = "stderr"
LOG = "trial.log"
OUTPUT = "output"


def script(role: str) -> str:
    """Return the name of a role's script in the attempt's directory."""
    return "run_" + role + ".sh"
