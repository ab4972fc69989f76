"""Users' own tuners and assessors, written for NNI's base classes, as the tuner process calls them."""

import importlib
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nni import assessor, errors, tuner
from nni.core import model, plain, spec

_LIMIT = 1_000_000
"""Characters that the JSON text of one trial's parameters may have, as many as a metric's."""


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
        if not isinstance(made, list | tuple):
            raise errors.TunerError(
                f"generate_multiple_parameters of {type(self._inner).__name__} must return a list of mappings, one for "
                f"each id, not {plain.shown(made)}."
            )
        if not made:
            raise errors.NoMoreTrialError("The tuner has no more parameters.")
        self._proposed.add(parameter_id)
        return self._parameters(made[0])

    def _parameters(self, made: Any) -> model.Parameters:
        """Return what the user's tuner made, with Python's numbers for numpy's."""
        wrong = f"generate_parameters of {type(self._inner).__name__} must return"
        if not isinstance(made, Mapping):
            raise errors.TunerError(f"{wrong} a mapping of parameters by their names, not {plain.shown(made)}.")
        try:
            parameters: model.Parameters = plain.of(made)
        except RecursionError:
            raise errors.TunerError(f"{wrong} what JSON can hold, and these parameters hold themselves.") from None
        fault = plain.fault(parameters)
        if fault is not None:
            raise errors.TunerError(f"{wrong} what JSON can hold, but {fault}.")
        size = len(json.dumps(parameters))
        if size > _LIMIT:
            raise errors.TunerError(
                f"{wrong} at most {_LIMIT} characters of JSON, not {size}; put large things into a file of the code."
            )
        return parameters

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``. What was proposed before a restart comes by ``import_data``, as in NNI."""
        has_value = outcome.succeeded and outcome.metric is not None
        value = json.loads(outcome.metric) if has_value and outcome.metric is not None else None
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
        result = plain.of(result)
        if not isinstance(result, bool | assessor.AssessResult):
            raise errors.TunerError(
                f"assess_trial of {type(self._inner).__name__} must return AssessResult.Good or AssessResult.Bad, "
                f"not {plain.shown(result)}."
            )
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
