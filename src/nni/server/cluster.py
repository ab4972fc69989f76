"""Where jobs run: the pods of trials under way, what is around them, and what the doctor found."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from aiohttp import web

from nni import errors
from nni.core import model
from nni.core import state as states
from nni.core import surroundings as around
from nni.server import answers, views


class Doctor(Protocol):
    """Looks at all that an experiment needs."""

    def report(self) -> views.Json:
        """Return what was found last: ``{at, findings: [{what, verdict, sentence}]}``."""
        ...

    async def examine(self) -> views.Json:
        """Look again, and return what was found."""
        ...


class Cluster:
    """The handlers of one experiment."""

    def __init__(
        self, state: states.State, surroundings: Callable[[], Awaitable[around.Surroundings]], doctor: Doctor
    ) -> None:
        """Take where answers come from.

        Args:
            state: The experiment; read between two awaits only.
            surroundings: Asks the platform.
            doctor: Knows what was found at the start.
        """
        self._state = state
        self._surroundings = surroundings
        self._doctor = doctor

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return all routes below ``base``, an absolute path without a final slash."""
        return [
            web.get(f"{base}/pods", self._pods),
            web.get(f"{base}/cluster", self._cluster),
            web.get(f"{base}/doctor", self._report),
            web.post(f"{base}/doctor", self._examine),
        ]

    async def _pods(self, request: web.Request) -> web.StreamResponse:
        live = [self._state.trials[key] for key in self._state.live]
        found = ({"trialJobId": its.id, **one} for its in live for one in views.pods(its))
        return await answers.array(request, found)

    async def _cluster(self, request: web.Request) -> web.StreamResponse:
        try:
            found = await self._surroundings()
        except (errors.PlatformError, errors.PlatformUnavailableError) as error:
            raise answers.refuse(web.HTTPServiceUnavailable, str(error)) from error
        live = (self._state.trials[key] for key in self._state.live)
        jobs = {trial.job: trial.id for trial in live if trial.job is not None}
        return answers.json(shown(found, jobs))

    async def _report(self, request: web.Request) -> web.StreamResponse:
        return answers.json(self._doctor.report())

    async def _examine(self, request: web.Request) -> web.StreamResponse:
        return answers.json(await self._doctor.examine())


def shown(found: around.Surroundings, jobs: Mapping[str, model.TrialId]) -> views.Json:
    """Return what is around jobs as the portal's page reads it.

    Args:
        found: All of it.
        jobs: The trials under way by the names of their jobs; places of other jobs are nobody's business here.
    """
    return {
        "nodes": [_node(one) for one in found.nodes],
        "quotas": [{"name": one.name, "amounts": [_amount(its) for its in one.amounts]} for one in found.quotas],
        "queue": None if found.queue is None else _queue(found.queue, jobs),
        "unseen": list(found.unseen),
    }


def _node(node: around.Node) -> views.Json:
    return {
        "name": node.name,
        "isReady": node.is_ready,
        "takesPods": node.takes_pods,
        "capacity": dict(node.capacity),
    }


def _amount(amount: around.Amount) -> views.Json:
    return {"resource": amount.resource, "used": amount.used, "most": amount.most}


def _queue(queue: around.Queue, jobs: Mapping[str, model.TrialId]) -> views.Json:
    return {
        "name": queue.name,
        "clusterQueue": queue.cluster_queue,
        "admitted": queue.admitted,
        "waiting": queue.waiting,
        "amounts": [_amount(one) for one in queue.amounts],
        "places": {jobs[job]: place for job, place in queue.places.items() if job in jobs},
    }
