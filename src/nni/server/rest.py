"""The REST API under ``/api/v1/nni``, in NNI's shapes, with errors that say what is wrong.

Where NNI answers 200 with nothing, or not at all, this answers with a status and ``{"error": <one sentence>}``.
"""

import asyncio
import contextlib
import dataclasses
import gzip
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from aiohttp import web

from nni import errors
from nni.core import event, model, plain, ports
from nni.core import state as states
from nni.core import surroundings as around
from nni.core import trial as trials
from nni.server import answers, cluster, events, health, limits, table, views, withheld

_Choice = TypeVar("_Choice", model.TrialStatus, model.MetricType)

Command = (
    event.StopRequested
    | event.KillRequested
    | event.LimitsChanged
    | event.SearchSpaceChanged
    | event.ResultsImported
    | event.TrialRequested
)

LAST_WORDS_SECONDS = 0.5
"""How long a server that shuts down waits for listeners to take the last change."""
MOST_IMPORTED = 64 << 20
"""Bytes of results that may be brought at once: a hundred thousand and more."""
MOST_TRIALS = 200
"""Trials whose metrics one request may ask for by their ids."""


class MetricSource(Protocol):
    """The part of the records that is asked here."""

    async def metrics(
        self, trial: model.TrialId | None = None, kind: model.MetricType | None = None
    ) -> Sequence[ports.MetricRow]:
        """Return metrics in the order in which they were received, of one trial or of all."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where answers come from and where commands go."""

    state: states.State
    records: MetricSource
    revisions: events.Revisions
    request: Callable[[Command], Awaitable[None]]
    """Takes a user's command into the loop; returns when it will not be lost."""
    reopen: Callable[[], Awaitable[None]]
    """Begins the tuner and the assessor anew, and goes on with the experiment."""
    clock: ports.Clock
    vitals: health.Vitals
    volume: ports.Readable
    """Where trials leave their files."""
    growth: ports.Growth | None
    """Tells when these grow; None where nobody knows."""
    logs: ports.Readable
    """The directory of the manager's own logs."""
    new_trial_id: Callable[[], model.TrialId]
    space_problems: limits.CheckSpace
    experiments: Callable[[], Awaitable[Sequence[views.Json]]]
    """Returns the experiments of this machine as ``experiments-info`` lists them."""
    results: Callable[[str], Awaitable[views.Json]]
    """Returns the final metrics of an experiment of this machine by its id."""
    importance: Callable[[], Awaitable[views.Json]]
    """Returns the share of each parameter in what makes results good."""
    job: Callable[[str], Awaitable[Mapping[str, Any] | None]]
    """Returns a job as the platform has it, None where there is none (any more)."""
    surroundings: Callable[[], Awaitable[around.Surroundings]]
    """Returns what is around the experiment's jobs on their platform."""
    doctor: cluster.Doctor


class Rest:
    """The handlers of one experiment's API."""

    def __init__(self, sources: Sources, about: views.About) -> None:
        self._sources = sources
        self._state = sources.state
        self._about = about
        self._streaming: dict[asyncio.Event, asyncio.Task[None] | None] = {}
        """Who sends a stream, by what says that it has been sent to its end."""
        self._reopening = asyncio.Lock()
        self._run = f"{views.milliseconds(sources.clock.now()):x}"

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return all routes below ``base``, an absolute path without a final slash."""
        gets = {
            "version": self._version,
            "check-status": self._check_status,
            "experiment": self._experiment,
            "experiment-metadata": self._metadata,
            "job-statistics": self._job_statistics,
            "trial-jobs": self._trials,
            "trial-jobs/{trial}": self._trial,
            "trial-manifest/{trial}": self._manifest,
            "metric-data": self._metrics,
            "metric-data/{trial}": self._metrics,
            "metric-data-latest": self._metrics_latest,
            "metric-data-latest/": self._metrics_latest,
            r"metric-data-range/{first:\d+}/{last:\d+}": self._metrics_range,
            "export-data": self._export,
            "pareto-front": self._pareto_front,
            "events": self._events,
            "trial-table": self._table,
            "health": self._health,
            "experiment-results/{experiment}": self._results,
            "parameter-importance": self._importance,
            "experiments-info": self._experiments,
        }
        return [
            *(web.get(f"{base}/{path}", handler) for path, handler in gets.items()),
            web.put(f"{base}/experiment", self._change),
            web.post(f"{base}/experiment/import-data", self._import),
            web.post(f"{base}/experiment/resume", self._resume),
            web.delete(f"{base}/experiment", self._stop),
            web.post(f"{base}/trial-jobs", self._add_trial),
            web.delete(f"{base}/trial-jobs/{{trial}}", self._kill),
        ]

    async def _version(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=self._about.version)

    async def _check_status(self, request: web.Request) -> web.StreamResponse:
        return answers.json(views.check_status(self._state))

    async def _experiment(self, request: web.Request) -> web.StreamResponse:
        answer = views.profile(self._state, self._about, self._sources.clock.now())
        return answers.json(withheld.without_secrets(answer) if _hides_secrets(request) else answer)

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        return answers.json(views.metadata(self._state, self._about))

    async def _job_statistics(self, request: web.Request) -> web.StreamResponse:
        return answers.json(views.job_statistics(self._state))

    async def _trials(self, request: web.Request) -> web.StreamResponse:
        status = _one_of(model.TrialStatus, request, "status")
        wanted = [its for its in self._state.trials.values() if status is None or its.status is status]
        return await answers.array(request, (views.trial(its, self._state.chief) for its in wanted))

    async def _trial(self, request: web.Request) -> web.StreamResponse:
        trial = self._named(request)
        return answers.json(views.trial(trial, self._state.chief) | views.history(trial) | views.replicas(trial))

    async def _table(self, request: web.Request) -> web.StreamResponse:
        """Answer with all trials, and the place in the stream from which to listen on."""
        state, now = self._state, self._sources.clock.now()
        answer = events.head(state, self._about, self._sources.vitals, now)
        answer["place"] = events.place(self._run, state.revision)
        known, origin = list(state.trials.values()), state.started_at or now
        # Trials never change, so that another thread may read what this moment's state holds.
        body = await asyncio.to_thread(_packed, answer, known, origin)
        headers = {"Content-Encoding": "gzip"}
        return web.Response(body=body, headers=headers, content_type="application/json")

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        """Answer with the trial's job as the platform has it, in YAML; ``?hide=secrets`` without these."""
        trial = self._named(request)
        try:
            job = await self._sources.job(trial.job) if trial.job else None
        except (errors.PlatformError, errors.PlatformUnavailableError) as error:
            raise answers.refuse(web.HTTPServiceUnavailable, str(error)) from error
        if job is None:
            raise answers.refuse(web.HTTPNotFound, f"There is no job of trial {trial.id} on the platform now.")
        job = withheld.without_secrets(job) if _hides_secrets(request) else job
        return web.Response(text=views.manifest(job), content_type="application/yaml")

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return answers.json(health.shown(self._sources.vitals.signs))

    async def _results(self, request: web.Request) -> web.StreamResponse:
        try:
            return answers.json(await self._sources.results(request.match_info["experiment"]))
        except errors.ExperimentNotFoundError as error:
            raise answers.refuse(web.HTTPNotFound, str(error)) from error

    async def _importance(self, request: web.Request) -> web.StreamResponse:
        return answers.json(await self._sources.importance())

    async def _experiments(self, request: web.Request) -> web.StreamResponse:
        return answers.json(await self._sources.experiments())

    async def _pareto_front(self, request: web.Request) -> web.StreamResponse:
        # Trials never change, so that another thread may compare them.
        known = list(self._state.trials.values())
        found = await asyncio.to_thread(views.pareto_front, known, self._state.spec)
        return await answers.array(request, map(views.export, found))

    async def _export(self, request: web.Request) -> web.StreamResponse:
        known = list(self._state.trials.values())
        return await answers.array(request, await asyncio.to_thread(views.exported, known, self._state.spec))

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        """Answer with metrics: of one trial, of those that ``?trials=`` names, or of all; ``?since=`` a sequence."""
        kind = _one_of(model.MetricType, request, "type")
        since = _count(request, "since")
        rows: list[ports.MetricRow] = []
        for trial in self._asked_for(request):
            rows += await self._sources.records.metrics(trial, kind)
        return await self._rows(request, [row for row in rows if row.metric.sequence >= since] if since else rows)

    def _asked_for(self, request: web.Request) -> Sequence[model.TrialId | None]:
        if "trial" in request.match_info:
            return [self._named(request).id]
        named = request.query.get("trials")
        if named is None:
            return [None]
        wanted = dict.fromkeys(filter(None, named.split(",")))
        if len(wanted) > MOST_TRIALS:
            raise answers.refuse(web.HTTPBadRequest, f"trials= names more than {MOST_TRIALS} trials; ask in parts.")
        return [answers.named(self._state, one).id for one in wanted]

    async def _metrics_latest(self, request: web.Request) -> web.StreamResponse:
        return await self._rows(request, views.latest(await self._sources.records.metrics()))

    async def _metrics_range(self, request: web.Request) -> web.StreamResponse:
        first, last = int(request.match_info["first"]), int(request.match_info["last"])
        rows: list[ports.MetricRow] = []
        for its in list(itertools.islice(self._state.trials, first, last + 1)):
            rows += await self._sources.records.metrics(its)
        return await self._rows(request, rows)

    async def _rows(self, request: web.Request, rows: Iterable[ports.MetricRow]) -> web.StreamResponse:
        """Answer with metrics: those that count, or with ``?replicas=all`` whatever any replica of any attempt said."""
        is_all = request.query.get("replicas") == "all"
        known = self._state.trials
        return await answers.array(
            request,
            (
                views.metric(row, known[row.attempt.trial], with_replica=is_all)
                for row in (rows if is_all else views.counting(rows, self._state))
                if row.attempt.trial in known
            ),
        )

    async def _change(self, request: web.Request) -> web.StreamResponse:
        try:
            kind, profile = request.query.get("update_type"), await _body(request)
            change = limits.parse(kind, profile, self._state.limits, self._sources.space_problems)
        except ValueError as error:
            raise answers.refuse(web.HTTPBadRequest, str(error)) from None
        await self._command(change)
        return web.Response()

    async def _command(self, command: Command) -> None:
        if self._state.cleaned_up:
            sentence = f"Experiment {self._state.experiment_id} has stopped; it can be looked at, not changed."
            raise answers.refuse(web.HTTPConflict, sentence)
        await self._sources.request(command)

    async def _import(self, request: web.Request) -> web.StreamResponse:
        try:
            imported = limits.parse_import(await _body(request.clone(client_max_size=MOST_IMPORTED)))
        except ValueError as error:
            raise answers.refuse(web.HTTPBadRequest, str(error)) from None
        await self._command(imported)
        return web.Response()

    async def _resume(self, request: web.Request) -> web.StreamResponse:
        """Go on after a failure of the tuner or of the assessor, once it has been mended, or after a pause."""
        async with self._reopening:
            status = self._state.status
            if status is not model.ExperimentStatus.ERROR:
                if self._state.is_paused and not self._state.stop_requested:
                    await self._command(limits.unpaused(self._state))
                    return web.Response()
                sentence = f"Experiment {self._state.experiment_id} is {status}: nothing of it has failed."
                raise answers.refuse(web.HTTPConflict, sentence)
            try:
                await self._sources.reopen()
            except errors.TunerError as error:
                raise answers.refuse(web.HTTPConflict, str(error)) from error
        return web.Response()

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        """Stop the experiment; with ``?force=true`` without waiting for the platform."""
        is_forced = request.query.get("force", "false") == "true"
        await self._command(event.StopRequested(by="the user", without_platform=is_forced))
        return web.Response()

    async def _add_trial(self, request: web.Request) -> web.StreamResponse:
        """Take a trial of the user's own: the body is its parameters."""
        parameters = await _body(request)
        if not isinstance(parameters, dict) or not parameters:
            raise answers.refuse(web.HTTPBadRequest, "The body is not an object of parameters by their names.")
        if (fault := plain.fault(parameters)) is not None:
            raise answers.refuse(web.HTTPBadRequest, f"A trial cannot have these parameters: {fault}.")
        if self._state.stop_requested:
            raise answers.refuse(web.HTTPConflict, "The experiment is stopping; it takes no trial any more.")
        trial = self._sources.new_trial_id()
        await self._command(event.TrialRequested(trial=trial, parameters=parameters))
        return answers.json({"sequenceId": self._state.trials[trial].sequence, "trialJobId": trial})

    async def _kill(self, request: web.Request) -> web.StreamResponse:
        await self._command(event.KillRequested(trial=self._named(request).id))
        return web.Response()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        stream = events.stream(
            self._state,
            self._about,
            self._sources.revisions,
            vitals=self._sources.vitals,
            clock=self._sources.clock,
            run=self._run,
            last_id=request.headers.get("Last-Event-ID") or request.query.get("after"),
        )
        sent = asyncio.Event()
        self._streaming[sent] = asyncio.current_task()
        try:
            async for text in stream:
                await response.write(text.encode())
            await response.write_eof()
        except ConnectionResetError:
            pass  # the page was closed
        finally:
            del self._streaming[sent]
            sent.set()
        return response

    async def end_streams(self, app: web.Application) -> None:
        """End the streams that are open, each with how the experiment is now; who does not take that is left."""
        self._sources.revisions.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                for sent in list(self._streaming):
                    await sent.wait()
        for task in list(self._streaming.values()):
            if task is not None:
                task.cancel()

    def _named(self, request: web.Request) -> trials.Trial:
        return answers.named(self._state, request.match_info["trial"])


def _packed(head: views.Json, known: Sequence[trials.Trial], origin: float) -> bytes:
    answer = head | {"trials": table.columns(known, origin)}
    return gzip.compress(views.compact(answer).encode(), compresslevel=5, mtime=0)


def _hides_secrets(request: web.Request) -> bool:
    return request.query.get("hide") == "secrets"


def _count(request: web.Request, name: str) -> int:
    given = request.query.get(name, "0")
    if not given.isdecimal():
        raise answers.refuse(web.HTTPBadRequest, f"{name}={given} is not a number.")
    return int(given)


def _one_of(kind: type[_Choice], request: web.Request, name: str) -> _Choice | None:
    """Return what a query parameter names, None when it is absent."""
    given = request.query.get(name)
    if given is None:
        return None
    try:
        return kind(given)
    except ValueError:
        sentence = f"{name}={given} is not one of {', '.join(kind)}."
        raise answers.refuse(web.HTTPBadRequest, sentence) from None


async def _body(request: web.BaseRequest) -> object:
    try:
        return await request.json()
    except (ValueError, RecursionError):
        raise answers.refuse(web.HTTPBadRequest, "The request's body is not JSON.") from None
