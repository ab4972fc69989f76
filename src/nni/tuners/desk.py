"""The tuner process from inside: takes calls, keeps the promises of the port, answers."""

import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from nni import errors
from nni.core import model, space, spec
from nni.tuners import algorithm, messages, registry


class Desk:
    """Stands before a tuner: the same id gets the same answer, and nothing is told twice."""

    def __init__(self, tuner: algorithm.Algorithm) -> None:
        """Take a tuner that nothing else calls."""
        self._tuner = tuner
        self._answers: dict[int, model.Parameters] = {}
        self._told: set[int] = set()

    def ask(self, parameter_ids: Iterable[int]) -> list[model.Parameters]:
        """Return parameters for each id, in order; fewer when there are no more."""
        answers = []
        for parameter_id in parameter_ids:
            if parameter_id not in self._answers:
                try:
                    self._answers[parameter_id] = self._tuner.suggest(parameter_id)
                except errors.NoMoreTrialError:
                    break
            answers.append(self._answers[parameter_id])
        return answers

    def tell(self, outcomes: Iterable[model.Outcome]) -> None:
        """Take in how trials ended."""
        for outcome in outcomes:
            if outcome.parameter_id not in self._told:
                self._told.add(outcome.parameter_id)
                self._tuner.learn(outcome)


def serve(calls: BinaryIO, answers: BinaryIO) -> int:
    """Answer calls until there are no more of them or the tuner fails.

    Returns:
        The exit code of the process.
    """
    desk: Desk | None = None
    for line in calls:
        call = messages.decode(line)
        try:
            desk, result = _do(call, desk)
        except errors.NniError as error:
            answer = {"call": call["call"], "error": str(error)}
        except Exception as error:  # noqa: BLE001 whatever a tuner raises ends it; its traceback is for the log
            traceback.print_exc(file=sys.stderr)
            answer = {"call": call["call"], "error": "".join(traceback.format_exception_only(error)).strip()}
        else:
            answer = {"call": call["call"], "result": result}
        answers.write(messages.encode(answer))
        answers.flush()
        if "error" in answer:
            return 1
    return 0


def _do(call: Mapping[str, Any], desk: Desk | None) -> tuple[Desk, Any]:
    if desk is None:
        tuner, arguments = registry.arguments_of(spec.AlgorithmSpec(**call["tuner"]))
        return Desk(tuner.make(space.parse(call["search_space"]), arguments)), None
    if call["do"] == "ask":
        return desk, desk.ask(call["parameter_ids"])
    desk.tell(model.Outcome(**outcome) for outcome in call["outcomes"])
    return desk, None
