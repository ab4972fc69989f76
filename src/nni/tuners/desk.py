"""The tuner process from inside: takes calls, keeps the promises of the ports, answers."""

import collections
import functools
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from nni import errors
from nni.core import model, space, spec
from nni.core import trial as trials
from nni.tuners import algorithm, messages, own, prepared, registry

_WORST = float("inf")
_MOST_AHEAD = 64
MakeTuner = Callable[[Mapping[str, Any]], algorithm.Algorithm]
"""Makes a tuner for a search space."""


class Desk:
    """Stands before a tuner: the same id gets the same answer, and nothing is told twice."""

    def __init__(
        self,
        make: Callable[[Mapping[str, Any]], algorithm.Algorithm],
        search_space: Mapping[str, Any],
        *,
        is_blind: bool = False,
    ) -> None:
        """Take what makes a tuner for a search space, and the first of these.

        Args:
            make: Makes a tuner.
            search_space: As the user wrote it.
            is_blind: Whether its suggestions depend on no result, and can be made before they are asked for.
        """
        self._make, self._is_blind = make, is_blind
        self._ready: collections.deque[model.Parameters] = collections.deque()
        """Suggestions that nobody has asked for yet."""
        self._wanted = 0
        """How many the last question was for."""
        self._next = 0
        """After the highest parameter id."""
        self.algorithm = make(search_space)
        self._answers: dict[int, model.Suggestion] = {}
        self._told: dict[int, model.Outcome] = {}

    def remind(self, running: Iterable[tuple[int, model.Parameters]]) -> None:
        """Take in which trials run from before a restart."""
        known = dict(running)
        self._answers |= {number: model.Suggestion(parameters=parameters) for number, parameters in known.items()}
        self._remind(known)

    def do(self, call: Mapping[str, Any]) -> Any:
        """Answer a call."""
        if call["do"] == "ask":
            return messages.ask_result(self.ask(call["parameter_ids"], call["new"]))
        if call["do"] == "update":
            return self.update(call["search_space"])
        return self.tell(model.Outcome(**outcome) for outcome in call["outcomes"])

    def ask(self, parameter_ids: Iterable[int], new: int | None = None) -> list[model.Suggestion]:
        """Return a suggestion for each id, in order; fewer when there are no more.

        Args:
            parameter_ids: One for each suggestion.
            new: How many may be new trials, None for all.
        """
        answers: list[model.Suggestion] = []
        self._wanted = 0
        for parameter_id in parameter_ids:
            self._wanted += 1
            self._next = max(self._next, parameter_id + 1)
            if parameter_id not in self._answers:
                answer = self._suggest(parameter_id, may_be_new=new is None or new > 0)
                if answer is None:
                    break
                self._answers[parameter_id] = answer
                if new is not None and answer.promotes is None:
                    new -= 1
            answers.append(self._answers[parameter_id])
        return answers

    def _suggest(self, parameter_id: int, *, may_be_new: bool) -> model.Suggestion | None:
        promoted = self._promoted(parameter_id, may_be_new=may_be_new)
        if promoted is not None or not may_be_new:
            return promoted
        if self._ready:
            return model.Suggestion(parameters=self._ready.popleft())
        try:
            return model.Suggestion(parameters=self.algorithm.suggest(parameter_id))
        except errors.NoMoreTrialError:
            return self._promoted(parameter_id, may_be_new=False)

    def _promoted(self, parameter_id: int, *, may_be_new: bool) -> model.Suggestion | None:
        if isinstance(self.algorithm, algorithm.Promoting):
            return self.algorithm.promote(parameter_id, may_be_new=may_be_new)
        return None

    def look_ahead(self) -> None:
        """Make the suggestions that will be asked for next, where no result can better them; nobody waits for it."""
        try:
            while self._is_blind and len(self._ready) < min(self._wanted, _MOST_AHEAD):
                self._ready.append(self.algorithm.suggest(self._next + len(self._ready)))
        except errors.NoMoreTrialError:
            pass

    def tell(self, outcomes: Iterable[model.Outcome]) -> None:
        """Take in how trials ended."""
        for outcome in outcomes:
            if outcome.parameter_id not in self._told:
                self._told[outcome.parameter_id] = outcome
                if outcome.parameter_id not in self._answers and outcome.parameters in self._ready:
                    # Tried elsewhere meanwhile.
                    self._ready.remove(outcome.parameters)
                self.algorithm.learn(outcome)
        users = _users_own(self.algorithm)
        if isinstance(users, own.OwnTuner):
            users.hand_over()

    def update(self, search_space: Mapping[str, Any]) -> None:
        """Take another search space: a user's own tuner is told of it, a built-in one is made anew and told all."""
        users = _users_own(self.algorithm)
        if isinstance(users, own.OwnTuner):
            users.update(search_space)
            return
        self.algorithm = self._make(search_space)
        self._ready.clear()
        self._remind({number: its.parameters for number, its in self._answers.items() if number not in self._told})
        for outcome in self._told.values():
            self.algorithm.learn(outcome)

    def _remind(self, running: Mapping[int, model.Parameters]) -> None:
        if isinstance(self.algorithm, algorithm.Reminded):
            for parameter_id, parameters in running.items():
                self.algorithm.remind(parameter_id, parameters)


class AssessorDesk:
    """Stands before an assessor: keeps the histories of the trials that run."""

    def __init__(
        self, assessor: algorithm.Assessor, *, is_own: bool, maximize: bool, objective: str = "default"
    ) -> None:
        """Take an assessor that nothing else calls.

        Args:
            assessor: The assessor.
            is_own: Whether it is the user's, and wants values as they were reported.
            maximize: Whether larger values are better.
            objective: What trials are compared by, where their metric is a dictionary.
        """
        self.algorithm, self._is_own, self._objective = assessor, is_own, objective
        self._worst = -_WORST if maximize else _WORST
        self._histories: dict[model.TrialId, list[Any]] = {}

    def do(self, call: Mapping[str, Any]) -> Any:
        """Answer a call."""
        if call["do"] == "assess":
            return self.assess(call["trial"], call["start"], call["values"])
        return self.end(call["trial"], succeeded=call["succeeded"])

    def assess(self, trial: model.TrialId, start: int, values: Sequence[str]) -> bool:
        """Return whether a trial may go on; each value is put to the assessor, as if they had come one by one.

        Args:
            trial: The trial.
            start: How many values of the attempt came before these.
            values: As JSON text.
        """
        history = self._histories.setdefault(trial, [])
        del history[start:]
        for value in values:
            history.append(self._read(value))
            if not self.algorithm.assess(trial, history):
                return False
        return True

    def end(self, trial: model.TrialId, *, succeeded: bool) -> None:
        """Take in that a trial has ended."""
        if self._histories.pop(trial, None) is not None:
            self.algorithm.end(trial, succeeded=succeeded)

    def _read(self, value: str) -> Any:
        if self._is_own:
            return trials.decoded(value)
        number = trials.scalar(value, self._objective)
        return self._worst if number is None else number


def serve(calls: BinaryIO, answers: BinaryIO) -> int:
    """Answer calls until there are no more of them or the algorithm fails.

    Returns:
        The exit code of the process.
    """
    desk: Desk | AssessorDesk | None = None
    for line in calls:
        call = messages.decode(line)
        answer: dict[str, Any] = {"call": call["call"]}
        try:
            if desk is None:
                desk, answer["result"] = _opened(call), None
            else:
                answer["result"] = desk.do(call)
            written = messages.encode(answer)
        except (Exception, SystemExit) as error:  # noqa: BLE001 whatever a tuner raises ends it; the log has it whole
            answer = {"call": call["call"], "error": messages.sentence(_told(error))}
            written = messages.encode(answer)
        answers.write(written)
        answers.flush()
        if "error" in answer:
            _leave(desk, failed=True)
            return 1
        if isinstance(desk, Desk):
            desk.look_ahead()
    _leave(desk, failed=False)
    return 0


def _leave(desk: Desk | AssessorDesk | None, *, failed: bool) -> None:
    """Let a user's own algorithm close what it has open; the built-in ones have nothing."""
    users = _users_own(desk.algorithm) if desk is not None else None
    if users is not None:
        try:
            users.leave(failed=failed)
        except Exception:  # noqa: BLE001 it ends all the same
            traceback.print_exc(file=sys.stderr)


def _users_own(made: algorithm.Algorithm | algorithm.Assessor) -> own.OwnTuner | own.OwnAssessor | None:
    """Return a user's own algorithm, behind initial parameters too; None for a built-in one."""
    made = made.inner if isinstance(made, prepared.Prepared) else made
    return made if isinstance(made, own.OwnTuner | own.OwnAssessor) else None


def _opened(call: Mapping[str, Any]) -> Desk | AssessorDesk:
    chosen = spec.AlgorithmSpec(**call["algorithm"])
    is_own = chosen.class_name is not None
    if call["do"] == "open_assessor":
        if is_own:
            return AssessorDesk(own.make_assessor(chosen), is_own=True, maximize=call["maximize"])
        entry, arguments = registry.arguments_of(chosen, registry.ASSESSORS)
        # An assessor that says nothing of it follows the tuner.
        mode = arguments["optimize_mode"] or ("maximize" if call["maximize"] else "minimize")
        assessor = entry.make({**arguments, "optimize_mode": mode})
        return AssessorDesk(assessor, is_own=False, maximize=mode == "maximize", objective=call["objective"])
    is_blind = registry.is_blind(chosen)
    desk = Desk(functools.partial(_tuner, chosen, call["first"]), call["search_space"], is_blind=is_blind)
    desk.remind(call["running"])
    return desk


def _tuner(
    chosen: spec.AlgorithmSpec, first: Sequence[model.Parameters], search_space: Mapping[str, Any]
) -> algorithm.Algorithm:
    tuner: algorithm.Algorithm
    if chosen.class_name is not None:
        tuner = own.make_tuner(chosen, search_space)
    else:
        entry, arguments = registry.arguments_of(chosen)
        tuner = entry.make(space.parse(search_space), arguments)
    return prepared.Prepared(tuner, first) if first else tuner


def _told(error: BaseException) -> str:
    """Return what to say of an exception, with the place in the user's code where it came up.

    The log gets the traceback, unless the exception is a sentence of ours already.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, errors.NniError) and not _is_users(frames[-1]):
        return str(error)
    traceback.print_exc(file=sys.stderr)
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} in {error.filename}:{error.lineno}"
    what = "".join(traceback.format_exception_only(error))
    place = next(filter(_is_users, reversed(frames)), None)
    return what if place is None else f"{what.strip()} in {place.name}, {place.filename}:{place.lineno}"


def _is_users(frame: traceback.FrameSummary) -> bool:
    """Whether a line is of the user's code, not of ours, of Python's or of a package's."""
    ours = str(Path(errors.__file__).parent)
    python = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return not frame.filename.startswith((ours, "<", *python)) and "site-packages" not in frame.filename
