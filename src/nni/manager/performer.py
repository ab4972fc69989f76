"""Does what actions ask for, through the ports, and emits what came of it.

No policy lives here: whether and when something is due is decided in ``nni.core.plan``. What is repeated here is only
what must not be given up: removing jobs, cleaning up.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from nni import errors
from nni.core import event, model, ports
from nni.manager.files import Files

_log = logging.getLogger(__name__)

SUBMIT_RETRY_SECONDS = 5.0
INSIST_SECONDS = 60.0
"""How long removing and cleaning up are tried when the platform does not answer."""
SUBMISSIONS_AT_ONCE = 16


class Performer:
    """Performs one action at a time for each caller; safe to call for many at once."""

    def __init__(
        self,
        *,
        platform: ports.Platform,
        tuner: ports.TunerPort,
        assessor: ports.AssessorPort | None,
        files: Files,
        chief: model.Replica,
        emit: ports.Emit,
        new_trial_id: Callable[[], model.TrialId],
    ) -> None:
        """Take the finished parts.

        Args:
            platform: Where jobs run; open.
            tuner: Where parameters come from; open.
            assessor: Who stops trials early, if anybody does; open.
            files: What attempts need on the volume, and what they leave there.
            chief: The replica whose metrics count.
            emit: Takes results into the loop.
            new_trial_id: Returns an id that no trial has.
        """
        self._platform = platform
        self._tuner = tuner
        self._assessor = assessor
        self._files = files
        self._chief = chief
        self._emit = emit
        self._new_trial_id = new_trial_id
        self._tuner_turn = asyncio.Lock()
        self._submissions = asyncio.Semaphore(SUBMISSIONS_AT_ONCE)

    async def perform(self, action: event.Action) -> None:
        """Perform an action. Whatever goes wrong becomes an event."""
        try:
            await self._do(action)
        except errors.TunerError as error:
            self._emit(event.TunerFailed(message=str(error)))
        except Exception as error:  # noqa: BLE001 the last guard: a fault of ours is shown and ends no running trial
            _log.exception("%s could not be performed", type(action).__name__)
            self._emit(event.Failed(message=f"Internal error in {type(action).__name__}: {error!r}; see the log."))

    def _do(self, action: event.Action) -> Awaitable[None]:
        match action:
            case event.Ask() | event.Tell() | event.Assess() | event.Update():
                return self._with_tuner(action)
            case event.Submit():
                return self._submit(action)
            case event.Remove():
                return self._remove(action)
            case event.Discard():
                return self._discard(action)
            case event.Harvest():
                return self._harvest(action)
            case event.CleanUp():
                return self._clean_up(action)

    def _with_tuner(self, action: event.Ask | event.Tell | event.Assess | event.Update) -> Awaitable[None]:
        match action:
            case event.Ask():
                return self._ask(action)
            case event.Tell():
                return self._tell(action)
            case event.Assess():
                return self._assess(action)
            case event.Update():
                return self._update(action)

    async def _ask(self, action: event.Ask) -> None:
        """Ask for one suggestion, then for twice as many each time: the first job need not wait for the last answer."""
        waiting, new, count = action.parameter_ids, action.new, 1
        while waiting:
            asked, waiting, count = waiting[:count], waiting[count:], 2 * count
            async with self._tuner_turn:
                answers = await self._tuner.ask(asked, new)
            if new is not None:
                new -= sum(answer.promotes is None for answer in answers)
            if len(answers) < len(asked):
                # There are no more.
                asked, waiting = (*asked, *waiting), ()
            self._propose(asked, answers)

    def _propose(self, asked: Sequence[int], answers: Sequence[model.Suggestion]) -> None:
        proposals = tuple(
            event.Proposal(
                trial=self._new_trial_id(),
                parameter_id=parameter_id,
                parameters=answer.parameters,
                promotes=answer.promotes,
            )
            for parameter_id, answer in zip(asked, answers, strict=False)
        )
        self._emit(event.Proposed(asked=len(asked), proposals=proposals))

    async def _update(self, action: event.Update) -> None:
        async with self._tuner_turn:
            await self._tuner.update(action.search_space)

    async def _tell(self, action: event.Tell) -> None:
        async with self._tuner_turn:
            await self._tuner.tell((*action.earlier, *action.outcomes.values()))
        if self._assessor is not None:
            for trial, outcome in action.outcomes.items():
                await self._assessor.end(trial, succeeded=outcome.succeeded and outcome.is_whole)
        self._emit(event.TunerTold(trials=tuple(action.outcomes)))

    async def _assess(self, action: event.Assess) -> None:
        if self._assessor is None:
            return
        if not await self._assessor.assess(action.attempt.trial, action.start, action.values):
            results = action.start + len(action.values)
            self._emit(event.Rejected(attempt=action.attempt, results=results))

    async def _submit(self, action: event.Submit) -> None:
        order = action.order
        try:
            async with self._submissions:
                await self._files.prepare(order, action.parameter_id, action.parameters)
                job = await self._platform.create(order)
        except errors.PlatformError as error:
            refused = event.JobRefused(attempt=order.attempt, message=str(error))
        except (errors.PlatformUnavailableError, errors.VolumeError) as error:
            _log.warning("trial %s waits: %s", order.attempt.trial, error)
            refused = event.JobRefused(attempt=order.attempt, message=str(error), retry_after=SUBMIT_RETRY_SECONDS)
        else:
            location = self._files.location(order.attempt.trial)
            self._emit(event.JobCreated(attempt=order.attempt, job=job, location=location))
            return
        self._emit(refused)

    async def _remove(self, action: event.Remove) -> None:
        what = f"removing the job of {action.attempt}"
        is_done = await self._insist(lambda: self._platform.remove(action.attempt), what)
        self._emit(event.JobRemoved(attempt=action.attempt, gave_up=not is_done))

    async def _discard(self, action: event.Discard) -> None:
        await self._insist(lambda: self._platform.remove(action.attempt), f"deleting the ended job of {action.attempt}")
        self._emit(event.JobDiscarded(attempt=action.attempt))

    async def _harvest(self, action: event.Harvest) -> None:
        try:
            async for reported in self._files.harvest(action.attempt, self._chief, wait_for_exit=action.final):
                self._emit(reported)
        except errors.VolumeError as error:
            _log.warning("the journal of %s cannot be read: %s", action.attempt, error)
        if action.final:
            self._emit(event.Harvested(attempt=action.attempt))

    async def _clean_up(self, action: event.CleanUp) -> None:
        is_done = not action.without_platform and await self._insist(
            lambda: self._platform.clean_up(action.keep), "cleaning up"
        )
        self._emit(event.CleanedUp(gave_up=not is_done))

    async def _insist(self, call: Callable[[], Awaitable[None]], what: str) -> bool:
        """Repeat a call while the platform does not answer, for a while; return whether it was done in the end."""
        wait = 0.5
        try:
            async with asyncio.timeout(INSIST_SECONDS):
                while True:
                    try:
                        await call()
                    except errors.PlatformUnavailableError as error:
                        _log.warning("%s is tried again: %s", what, error)
                        await asyncio.sleep(wait)
                        wait = min(wait * 2, 10.0)
                    else:
                        return True
        except (TimeoutError, errors.PlatformError) as error:
            why = str(error) or f"no answer for {INSIST_SECONDS:.0f} s"
            _log.error("gave up %s (%s); objects labelled for this experiment may be left", what, why)
            return False
