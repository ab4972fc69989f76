"""Users' own tuners and assessors, written for NNI's base classes, as the tuner process calls them."""

import collections
import importlib
import inspect
import json
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nni import assessor, errors, tuner, utils
from nni.core import model, plain, spec

_LIMIT = 1_000_000
"""Characters that the JSON text of one trial's parameters may have, as many as a metric's."""


class OwnTuner:
    """See ``algorithm.Algorithm``."""

    def __init__(self, inner: tuner.Tuner, search_space: Mapping[str, Any]) -> None:
        """Take the user's tuner and the search space as the user wrote it."""
        self._inner = inner
        self._names: dict[int, int] = {}
        """What the user's tuner calls those parameters that it proposed."""
        self._late: collections.deque[tuple[int, Any]] = collections.deque()
        """What it proposed after it had been asked, under the ids of then."""
        self._known: list[dict[str, Any]] = []
        """What ``import_data`` is to be given."""
        self.update(search_space)

    def update(self, search_space: Mapping[str, Any]) -> None:
        """Give the user's tuner a search space; the first one before anything else."""
        self._inner.update_search_space(dict(search_space))

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        if self._late:
            return self._taken(parameter_id, *self._late.popleft())
        made = self._inner.generate_multiple_parameters([parameter_id], st_callback=self._propose)
        if not isinstance(made, list | tuple):
            raise errors.TunerError(
                f"generate_multiple_parameters of {type(self._inner).__name__} must return a list of mappings, one for "
                f"each id, not {plain.shown(made)}."
            )
        if made:
            return self._taken(parameter_id, parameter_id, made[0])
        if self._late:
            return self._taken(parameter_id, *self._late.popleft())
        raise errors.NoMoreTrialError("The tuner has no more parameters.")

    def _propose(self, parameter_id: int, parameters: Any) -> None:
        """Take parameters for an id that the tuner had none for when it was asked; NNI calls this ``st_callback``."""
        self._late.append((parameter_id, parameters))

    def _taken(self, parameter_id: int, name: int, made: Any) -> model.Parameters:
        parameters = self._parameters(made)
        self._names[parameter_id] = name
        return parameters

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
        """See ``algorithm.Algorithm``. After the last one ``hand_over`` is called.

        As in NNI what was proposed before a restart comes by ``import_data``, and trials of the user's own are told to
        a tuner that has said ``_accept_customized_trials()``, and to no other.
        """
        has_value = outcome.succeeded and outcome.metric is not None
        value = json.loads(outcome.metric) if has_value and outcome.metric is not None else None
        accepts = getattr(self._inner, "_accept_customized", False)
        if outcome.parameter_id not in self._names and not (outcome.is_customized and accepts):
            if has_value and not outcome.is_customized:
                self._known.append({"parameter": dict(outcome.parameters), "value": value})
            return
        self.hand_over()
        name = self._names.get(outcome.parameter_id, outcome.parameter_id)
        if has_value:
            about = {"customized": outcome.is_customized, "trial_job_id": outcome.trial}
            self._inner.receive_trial_result(name, dict(outcome.parameters), value, **about)
        # Without keywords: those who wrote theirs for NNI take none.
        self._inner.trial_end(name, outcome.succeeded and outcome.is_whole)

    def hand_over(self) -> None:
        """Import what was proposed before a restart: as one list, for a tuner may fit a model to what it is given."""
        if self._known:
            known, self._known = self._known, []
            self._inner.import_data(known)

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
    module = _imported(module_name, chosen.code_directory)
    found = getattr(module, name, None)
    if not inspect.isclass(found):
        raise errors.TunerError(f"There is no class {name} in {module.__file__}; set class_name to 'module.Class'.")
    _check_arguments(found, chosen)
    _validate(module, found, chosen)
    return found(**chosen.class_args)


def _imported(name: str, directory: str | None) -> types.ModuleType:
    """Import the module of a user's class.

    Raises:
        TunerError: It is not there; what comes up while it is imported is passed on.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Another one's absence is for the line that imports it to show.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        if directory is not None and not Path(directory).is_dir():
            raise errors.TunerError(f"There is no directory {directory}, which code_directory names.") from error
        raise errors.TunerError(
            f"There is no module {error.name} in {directory}; set code_directory to where it is, and class_name to "
            "'module.Class'."
        ) from error


def _check_arguments(found: type, chosen: spec.AlgorithmSpec) -> None:
    """Raise TunerError where a class cannot be made with its arguments."""
    try:
        takes = inspect.signature(found)
    except (TypeError, ValueError):
        # One written in C does not say.
        return
    try:
        takes.bind(**chosen.class_args)
    except TypeError as error:
        raise errors.TunerError(f"class_args do not fit {found.__name__}{takes}: {error}.") from error


def _validate(module: types.ModuleType, found: type, chosen: spec.AlgorithmSpec) -> None:
    """Have the validator that stands beside a class look at its arguments: NNI's registry names it, here it is found.

    Raises:
        TunerError: It refuses them.
    """
    near = [
        one
        for one in vars(module).values()
        if inspect.isclass(one) and issubclass(one, utils.ClassArgsValidator) and one.__module__ == module.__name__
    ]
    if len(near) != 1:
        return
    try:
        near[0]().validate_class_args(**chosen.class_args)
    except Exception as error:  # whatever checks them raises what it likes
        raise errors.TunerError(f"{near[0].__name__} refuses the class_args of {found.__name__}: {error}") from error


def _leave(inner: tuner.Tuner | assessor.Assessor, *, failed: bool) -> None:
    if failed:
        inner._on_error()  # noqa: SLF001 NNI's name for it
    else:
        inner._on_exit()  # noqa: SLF001 NNI's name for it
