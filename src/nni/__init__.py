"""Hyper-parameter tuning on Kubernetes: NNI's interface, rebuilt.

A trial uses the functions below, and importing this module loads nothing but the standard library. ``nni.Experiment``
and the submodules load on first use.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from nni._version import __version__
from nni.errors import NoMoreTrialError
from nni.trial import (
    get_checkpoint_dir,
    get_current_parameter,
    get_experiment_id,
    get_next_parameter,
    get_next_parameters,
    get_sequence_id,
    get_trial_id,
    report_final_result,
    report_intermediate_result,
)

if TYPE_CHECKING:
    from nni import assessor as assessor
    from nni import experiment as experiment
    from nni import parameter_expressions as parameter_expressions
    from nni import testing as testing
    from nni import tuner as tuner
    from nni import utils as utils
    from nni.experiment import Experiment as Experiment
    from nni.utils import ClassArgsValidator as ClassArgsValidator

__all__ = [
    "NoMoreTrialError",
    "__version__",
    "get_checkpoint_dir",
    "get_current_parameter",
    "get_experiment_id",
    "get_next_parameter",
    "get_next_parameters",
    "get_sequence_id",
    "get_trial_id",
    "report_final_result",
    "report_intermediate_result",
]

_SUBMODULES = ("assessor", "experiment", "parameter_expressions", "testing", "tuner", "utils")
_LATE = {"ClassArgsValidator": "nni.utils", "Experiment": "nni.experiment"}


if not TYPE_CHECKING:  # else no type checker would find a misspelt name any more

    def __getattr__(name: str) -> Any:
        """Load on first use what only some programs need (PEP 562)."""
        if name in _SUBMODULES:
            return _import_module("nni." + name)
        if name in _LATE:
            return getattr(_import_module(_LATE[name]), name)
        raise AttributeError(f"module 'nni' has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted([*__all__, *_SUBMODULES, *_LATE])
