"""Users' own tuners and assessors, written for NNI's base classes, as the tuner process calls them."""

import importlib
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nni import assessor, errors, tuner
from nni.core import model, spec


class OwnTuner:
    """See ``algorithm.Algorithm``."""

    def __init__(self, inner: tuner.Tuner, search_space: Mapping[str, Any]) -> None:
        """Take the user's tuner and the search space as the user wrote it."""
        self._inner = inner
        self._proposed: set[int] = set()
        self.update(search_space)

    def update(self, search_space: Mapping[str, Any]) -> None:
        """Give the user's tuner a search space; the first one before anything else."""
        self._inner.update_search_space(dict(search_space))

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        made = self._inner.generate_multiple_parameters([parameter_id])
        if not made:
            raise errors.NoMoreTrialError("The tuner has no more parameters.")
        self._proposed.add(parameter_id)
        parameters: model.Parameters = json.loads(json.dumps(made[0], default=_plain))
        return parameters

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``. What was proposed before a restart comes by ``import_data``, as in NNI."""
        has_value = outcome.succeeded and outcome.metric is not None
        value = json.loads(outcome.metric) if outcome.metric is not None else None
        if outcome.parameter_id not in self._proposed:
            if has_value:
                self._inner.import_data([{"parameter": dict(outcome.parameters), "value": value}])
            return
        about = {"customized": False, "trial_job_id": outcome.trial}
        if has_value:
            self._inner.receive_trial_result(outcome.parameter_id, dict(outcome.parameters), value, **about)
        self._inner.trial_end(outcome.parameter_id, outcome.succeeded, trial_job_id=outcome.trial)

    def leave(self, *, failed: bool) -> None:
        """Tell the tuner that its process ends."""
        _leave(self._inner, failed=failed)


class OwnAssessor:
    """See ``algorithm.Assessor``."""

    def __init__(self, inner: assessor.Assessor) -> None:
        """Take the user's assessor."""
        self._inner = inner

    def assess(self, trial: model.TrialId, history: Sequence[Any]) -> bool:
        """See ``algorithm.Assessor``."""
        result = self._inner.assess_trial(trial, list(history))
        if not isinstance(result, bool | assessor.AssessResult):
            raise TypeError(f"assess_trial must return AssessResult.Good or AssessResult.Bad, not {result!r}")
        return result is True or result is assessor.AssessResult.Good

    def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """See ``algorithm.Assessor``."""
        self._inner.trial_end(trial, succeeded)

    def leave(self, *, failed: bool) -> None:
        """Tell the assessor that its process ends."""
        _leave(self._inner, failed=failed)


def make_tuner(chosen: spec.AlgorithmSpec, search_space: Mapping[str, Any]) -> OwnTuner:
    """Import and make a user's tuner.

    Raises:
        TunerError: The class is not one of a tuner.
    """
    made = _made(chosen)
    if not isinstance(made, tuner.Tuner):
        raise errors.TunerError(f"{chosen.class_name} is not a tuner; derive it from nni.tuner.Tuner.")
    return OwnTuner(made, search_space)


def make_assessor(chosen: spec.AlgorithmSpec) -> OwnAssessor:
    """Import and make a user's assessor.

    Raises:
        TunerError: The class is not one of an assessor.
    """
    made = _made(chosen)
    if not isinstance(made, assessor.Assessor):
        raise errors.TunerError(f"{chosen.class_name} is not an assessor; derive it from nni.assessor.Assessor.")
    return OwnAssessor(made)


def _made(chosen: spec.AlgorithmSpec) -> Any:
    module_name, _, name = (chosen.class_name or "").rpartition(".")
    # At the end, as NNI does: a file of the user's called random.py takes nothing away from others.
    if chosen.code_directory is not None and chosen.code_directory not in sys.path:
        sys.path.append(chosen.code_directory)
    module = importlib.import_module(module_name)
    found = getattr(module, name, None)
    if not inspect.isclass(found):
        raise errors.TunerError(f"There is no class {name} in {module.__file__}; set class_name to 'module.Class'.")
    return found(**chosen.class_args)


def _leave(inner: tuner.Tuner | assessor.Assessor, *, failed: bool) -> None:
    if failed:
        inner._on_error()  # noqa: SLF001 NNI's name for it
    else:
        inner._on_exit()  # noqa: SLF001 NNI's name for it


def _plain(value: Any) -> Any:
    """Return numpy's numbers and arrays as Python's."""
    for method in ("item", "tolist"):
        if hasattr(value, method) and (method == "tolist" or getattr(value, "ndim", 0) == 0):
            return getattr(value, method)()
    raise TypeError(f"{value!r} cannot be written as JSON")
