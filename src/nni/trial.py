"""What a trial's code calls, by ``import nni``.

Everything here works in any process and thread of the trial, after a fork too, and without a runtime around it
(standalone): then there are no parameters, and results are logged.
"""

import itertools
import os
import sys
from importlib import import_module
from typing import Any, Iterator, Optional

from nni import errors
from nni.wire import channel, layout, marker, parameter, report, value

_CONFIRMATION_SECONDS = 60.0


class _Trial:
    """What this process knows of its trial."""

    def __init__(self) -> None:
        self.parameters: Optional[parameter.Parameters] = None
        self.sequence: Iterator[int] = itertools.count()


_this = _Trial()


def get_next_parameter() -> Any:
    """Return the trial's parameters: for the built-in tuners a dict ``{name: value}`` as the search space says.

    A trial has one set of parameters, so every call, in whichever process of the trial, returns the same ones (NNI
    leaves a second call undefined). Standalone, this warns and returns ``{}``.

    Raises:
        TrialError: The parameter file is missing or broken.
    """
    if _is_standalone():
        import_module("warnings").warn(
            "Running trial code without runtime: there are no parameters, and results are only logged. Start it as the "
            "trial_command of an experiment to tune it.",
            RuntimeWarning,
            stacklevel=2,
        )
        _this.parameters = parameter.Parameters(None, {})
    else:
        _this.parameters = _read_parameters()
    return _this.parameters.parameters


def get_next_parameters() -> Any:
    """Return the same as ``get_next_parameter``; NNI has both names."""
    return get_next_parameter()


def get_current_parameter(tag: Optional[str] = None) -> Any:
    """Return the parameters that ``get_next_parameter`` returned in this process, or the one called ``tag``.

    None before the first call of ``get_next_parameter``.

    Raises:
        KeyError: There is no parameter of that name.
    """
    if _this.parameters is None:
        return None
    return _this.parameters.parameters if tag is None else _this.parameters.parameters[tag]


def get_experiment_id() -> str:
    """Return the experiment's id; ``STANDALONE`` without a runtime."""
    return os.environ.get("NNI_EXP_ID") or "STANDALONE"


def get_trial_id() -> str:
    """Return the trial's id; ``STANDALONE`` without a runtime."""
    return os.environ.get("NNI_TRIAL_JOB_ID") or "STANDALONE"


def get_sequence_id() -> int:
    """Return the trial's number in its experiment, from 0; 0 without a runtime."""
    return int(os.environ.get("NNI_TRIAL_SEQ_ID") or 0)


def get_checkpoint_dir() -> str:
    """Return the trial's directory for checkpoints, absolute; it exists and survives the attempts of the trial.

    Whatever an earlier attempt of this trial left there is still there: load it and go on. All replicas share it.
    Standalone it is ``nni-checkpoint`` in the current directory.

    Raises:
        TrialError: It cannot be made.
    """
    directory = os.path.abspath(os.environ.get("NNI_CHECKPOINT_DIR") or "nni-checkpoint")
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise errors.TrialError(f"The checkpoint directory {directory} cannot be made: {error.strerror}.") from error
    return directory


def report_intermediate_result(metric: Any) -> None:
    """Report how the trial is doing, usually once an epoch.

    Returns once the metric is safe in the trial's journal on the storage volume; sending it on is the runtime's work.

    Args:
        metric: A number (one of numpy or PyTorch, too), or a dict with the key ``default``, which tuners and assessors
            look at, and other numbers for the portal. NaN and infinity are allowed.

    Raises:
        TrialError: The metric is no JSON, or longer than 1,000,000 characters.
    """
    _report(report.PERIODICAL, metric)


def report_final_result(metric: Any) -> None:
    """Report how good the trial's parameters are: what the tuner learns from.

    The last one counts where several are reported. Argument, return and errors are those of
    ``report_intermediate_result``.
    """
    _report(report.FINAL, metric)


def _is_standalone() -> bool:
    return os.environ.get("NNI_PLATFORM") in (None, "", "unittest")


def _read_parameters() -> parameter.Parameters:
    path = os.path.join(os.environ.get("NNI_SYS_DIR", ""), layout.PARAMETERS)
    try:
        with open(path, "rb") as file:
            return parameter.decode(file.read())
    except OSError as error:
        raise errors.TrialError(f"The trial's parameters cannot be read: {error}.") from error
    except errors.WireError as error:
        raise errors.TrialError(f"The trial's parameters in {path} are broken: {error}.") from error


def _report(kind: str, metric: Any) -> None:
    message = channel.Report(kind, value.encode(metric))
    sequence = next(_this.sequence) if kind == report.PERIODICAL else 0
    if _is_standalone():
        _log(kind, metric, sequence)
    elif not _hand_over(message):
        _print(message, sequence)


def _log(kind: str, metric: Any, sequence: int) -> None:
    logging = import_module("logging")
    logger = logging.getLogger("nni")
    if not logger.hasHandlers():
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if kind == report.FINAL:
        logger.info("Final result: %s", metric)
    else:
        logger.info("Intermediate result: %s  (Index %s)", metric, sequence)


def _hand_over(message: channel.Report) -> bool:
    """Give a metric to the runtime and wait until it stands in the journal; False when there is no runtime to take it.

    A connection of its own for each metric needs no state that a fork or another thread could spoil.
    """
    path = os.environ.get("NNI_METRIC_SOCKET")
    if not path:
        return False
    socket = import_module("socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            # Only then the time limit: a connect with one fails at once while the runtime is busy.
            connection.connect(path)
            connection.settimeout(_CONFIRMATION_SECONDS)
            connection.sendall(channel.encode(message))
            return _is_confirmed(connection)
        except socket.timeout:
            # The runtime has it, or will read it: printing it as well would report it twice.
            _complain("the storage volume is slow: a metric is on its way, but not yet in the journal")
            return True
        except OSError as error:
            _complain(f"the metric socket does not answer ({error}): the metric goes over standard output")
            return False


def _is_confirmed(connection: Any) -> bool:
    answer = b""
    while not answer.endswith(b"\n"):
        part = connection.recv(4096)
        if not part:
            return False
        answer += part
    return True


def _print(message: channel.Report, sequence: int) -> None:
    """Print a metric as NNI does: the runtime reads it there as well, even across containers and changed roots."""
    parameter_id = None if _this.parameters is None else _this.parameters.parameter_id
    line = marker.encode(message, trial=get_trial_id(), parameter_id=parameter_id, sequence=sequence)
    content = ("\n" + line + "\n").encode("ascii")
    try:
        while content:
            content = content[os.write(1, content) :]
    except OSError as error:
        _complain(f"a metric is lost, standard output cannot be written either: {error}")


def _complain(sentence: str) -> None:
    """Tell the user without ever stopping the training: a warning could be set to raise."""
    try:
        os.write(2, ("nni: " + sentence + ".\n").encode("utf-8", "replace"))
    except OSError:
        return
