"""Joins the parts of one experiment and runs it: the only place where parts are chosen."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from nni import check, errors
from nni._version import __version__
from nni.config import experiment as configs
from nni.core import event, fold, model, ports
from nni.core import spec as specs
from nni.core.state import State
from nni.manager import (
    doctor,
    doors,
    ground,
    ids,
    importance,
    leftovers,
    logs,
    loop,
    machine,
    performer,
    recall,
    secrets,
    vitals,
)
from nni.manager.files import Files
from nni.records import registry, sqlite
from nni.server import auth, events, health, intake, listen, portal, rest, shelf, views
from nni.server import exchange as exchanges
from nni.storage import mounted
from nni.tuners import process

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
STATIC = Path(portal.__file__).parent / "static"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the program that starts a manager asks for."""

    config: Mapping[str, Any]
    """Canonical JSON."""
    experiment_id: model.ExperimentId
    directory: Path
    """The experiment's own."""
    port: int
    """The portal's; the next one is the intake's."""
    url_prefix: str
    """Without slashes at its ends; empty for none."""
    is_attached: bool
    """Whether standard input stays open as long as the experiment is to live."""
    is_supervised: bool = False
    """Whether somebody starts this process again when it has ended: SIGTERM then leaves the trials running, and a
    start goes on with what the records say."""

    @property
    def url(self) -> str:
        """The portal's address."""
        return f"http://{HOST}:{self.port}" + (f"/{self.url_prefix}" if self.url_prefix else "")


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """See the port."""
        return time.time()  # noqa: TID251 the one clock


CLOCK = SystemClock()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is joined around the loop."""

    request: Request
    spec: specs.ExperimentSpec
    state: State
    records: sqlite.SqliteRecords
    revisions: events.Revisions
    tokens: secrets.TrialTokens
    clock: ports.Clock
    running: loop.Loop
    heard: vitals.Heard
    job: Callable[[str], Awaitable[Mapping[str, Any] | None]]
    growth: shelf.Growth | None


async def run(
    request: Request,
    environment: Mapping[str, str],
    *,
    say: Callable[[str], None],
    ready: Callable[[str, str], None],
) -> None:
    """Run an experiment until it has been stopped.

    Args:
        request: What to run.
        environment: Of this process: KUBECONFIG, NNI_MOUNTS, and what local trials inherit.
        say: Told what is being done before the experiment is ready.
        ready: Called once, with the portal's address and its token, when the portal answers.

    Raises:
        NniError: The experiment cannot be started; the message says why.
    """
    spec = check.checked(configs.ExperimentConfig.from_dict(request.config))
    with logs.to(request.directory / "log" / "nnimanager.log", spec.log_level, to_stderr=request.is_supervised):
        try:
            async with contextlib.AsyncExitStack() as stack:
                parts = await _join(request, spec, environment, stack, say)
                stack.enter_context(_stopping(parts.running, request))
                is_stopped = parts.state.cleaned_up
                if not is_stopped:
                    parts.running.emit(event.Started())
                async with _entered_in_registry(parts):
                    ready(request.url, secrets.portal_token(request.directory))
                    if not is_stopped:
                        async with parts.heard.watching():
                            await parts.running.run()
                    if request.is_supervised:
                        # What was stopped stays stopped, and can still be looked at.
                        await parts.running.left.wait()
        except BaseExceptionGroup as group:
            ours, others = group.split(errors.NniError)
            if ours is None or others is not None:
                raise
            raise _first_of(ours) from group


async def _join(
    request: Request,
    spec: specs.ExperimentSpec,
    environment: Mapping[str, str],
    stack: contextlib.AsyncExitStack,
    say: Callable[[str], None],
) -> _Parts:
    """Make and open every part; the stack takes them apart again in the opposite order."""
    portal_socket = stack.enter_context(contextlib.closing(listen.bind(HOST, request.port)))
    stand = await stack.enter_async_context(_stand(request, spec, environment, say))
    intake_socket = stack.enter_context(contextlib.closing(listen.bind(stand.intake_host, request.port + 1)))
    records = await _records(request)
    stack.push_async_callback(records.close)
    state = State.new(experiment_id=request.experiment_id, spec=spec)
    for entry in await records.replay():
        fold.fold(state, entry.event, entry.at)
    tokens = secrets.trial_tokens(request.directory)
    say("Packing code")
    files = await stand.files(request.experiment_id, request.url)
    door = await asyncio.to_thread(doors.of, stand, request.directory, request.port + 1)
    platform = stand.platform(request.experiment_id, door=door, tokens=tokens.of, clock=CLOCK)
    tuner, assessor = _algorithms(state, request.directory / "log" / "dispatcher.log")
    revisions = events.Revisions(state.revision)
    signs = health.Vitals(revisions.nudge)
    heard = vitals.Heard(signs, CLOCK, platform=platform, tuner=tuner, volume=files.volume)
    files.volume = heard.volume

    async def perform(action: event.Action) -> None:
        # The loop has the performer act, and the performer emits into the loop: one is named before it is there.
        await doing.perform(action)

    running = loop.Loop(
        state=state,
        records=records,
        clock=CLOCK,
        perform=perform,
        announce=revisions.publish,
    )
    doing = performer.Performer(
        platform=heard.platform,
        tuner=heard.tuner,
        assessor=assessor,
        files=files,
        chief=state.chief,
        emit=running.emit,
        new_trial_id=lambda: ids.new_trial_id(state.trials, random.SystemRandom()),
    )
    if not state.cleaned_up:
        # Nothing is made for an experiment that was stopped and is only looked at.
        say("Connecting, uploading code, starting the tuner")
        await _open(heard, assessor, files, running.emit, stack)
        if assessor is not None:
            await recall.recall(assessor, state, await records.metrics(kind=model.MetricType.PERIODICAL))
    parts = _Parts(
        request=request,
        spec=spec,
        state=state,
        records=records,
        revisions=revisions,
        tokens=tokens,
        clock=CLOCK,
        running=running,
        heard=heard,
        job=stand.job,
        growth=stand.growth,
    )
    await stack.enter_async_context(
        listen.serve(_intake(parts, stand.exchange(request.experiment_id, files)), intake_socket, door.tls)
    )
    await stack.enter_async_context(listen.serve(_portal(parts), portal_socket))
    return parts


async def _open(
    heard: vitals.Heard,
    assessor: process.AssessorProcess | None,
    files: Files,
    emit: ports.Emit,
    stack: contextlib.AsyncExitStack,
) -> None:
    """Open what takes its time, all at once."""
    openings = [files.upload(), heard.platform.open(emit), heard.tuner.open()]
    stack.push_async_callback(heard.platform.close)
    stack.push_async_callback(heard.tuner.close)
    if assessor is not None:
        openings.append(assessor.open())
        stack.push_async_callback(assessor.close)
    async with asyncio.TaskGroup() as tasks:
        for opening in openings:
            tasks.create_task(opening)


async def _records(request: Request) -> sqlite.SqliteRecords:
    if request.is_supervised and sqlite.path_in(request.directory).exists():
        return await sqlite.SqliteRecords.open_existing(request.directory)
    return await sqlite.SqliteRecords.create(request.directory)


@contextlib.asynccontextmanager
async def _stand(
    request: Request, spec: specs.ExperimentSpec, environment: Mapping[str, str], say: Callable[[str], None]
) -> AsyncIterator[ground.Ground]:
    """Hold the platform and the volume, which have what the experiment needs."""
    finding = ground.found(spec, request.experiment_id, environment=environment, directory=request.directory, say=say)
    async with finding as stand:
        doctor.insist(await stand.examine(), say)
        await asyncio.to_thread(leftovers.remember, request.directory, spec.platform)
        yield stand


def _algorithms(state: State, log: Path) -> tuple[process.TunerProcess, process.AssessorProcess | None]:
    """Return the tuner and, where one was chosen, the assessor; neither is open."""
    spec = state.spec
    tuner = process.TunerProcess(
        tuner=spec.tuner,
        search_space=spec.search_space,
        log=log,
        first=spec.initial_parameters,
        running={state.trials[key].parameter_id: state.trials[key].parameters for key in state.live},
    )
    if spec.assessor is None:
        return tuner, None
    return tuner, process.AssessorProcess(assessor=spec.assessor, maximize=spec.maximize, log=log)


def _portal(parts: _Parts) -> web.Application:
    request = parts.request
    return portal.make_app(
        sources=rest.Sources(
            state=parts.state,
            records=parts.records,
            revisions=parts.revisions,
            request=parts.running.commit,
            clock=parts.clock,
            vitals=parts.heard.vitals,
            volume=parts.heard.volume,
            growth=parts.growth,
            logs=mounted.MountedVolume(request.directory / "log"),
            new_trial_id=lambda: ids.new_trial_id(parts.state.trials, random.SystemRandom()),
            experiments=machine.experiments,
            results=machine.results,
            importance=importance.Importance(parts.state).ask,
            job=parts.job,
        ),
        about=views.About(
            port=request.port,
            pid=os.getpid(),
            platform=_platform_name(parts.spec),
            log_directory=str(request.directory),
            version=__version__,
            url_prefix=request.url_prefix,
        ),
        guard=auth.Guard(request.experiment_id, secrets.portal_token(request.directory)),
        hosts=auth.Hosts.of(HOST),
        static=STATIC,
    )


def _intake(parts: _Parts, files: exchanges.Exchange | None) -> web.Application:
    state, running, tokens = parts.state, parts.running, parts.tokens

    async def accept(reported: event.ReplicaReported) -> int:
        await running.commit(reported)
        parts.heard.metrics.hears()
        trial = state.trials[reported.attempt.trial]
        known = trial.replicas.get(reported.replica)
        return known.received if known is not None else 0

    return intake.make_app(
        experiment_id=parts.request.experiment_id,
        verify=lambda attempt, token: tokens.verify(state, attempt, token),
        accept=accept,
        files=files,
    )


def _platform_name(spec: specs.ExperimentSpec) -> str:
    return "local" if isinstance(spec.platform, specs.LocalSpec) else "kubeflow"


@contextlib.asynccontextmanager
async def _entered_in_registry(parts: _Parts) -> AsyncIterator[None]:
    """Keep this machine's list of experiments right while the context is open."""
    known = registry.Registry(registry.default_directory())
    request, state, spec = parts.request, parts.state, parts.spec
    first = registry.Known(
        id=request.experiment_id,
        name=spec.name,
        platform=_platform_name(spec),
        port=request.port,
        url_prefix=request.url_prefix or None,
        pid=os.getpid(),
        process_mark=registry.process_mark(os.getpid()),
        status=state.status.value,
        start_time=parts.clock.now(),
        end_time=None,
        directory=request.directory,
        working_directory=Path(spec.working_directory),
    )

    async def write() -> None:
        now = dataclasses.replace(first, status=state.status.value, end_time=state.ended_at)
        try:
            await asyncio.to_thread(known.write, now)
        except errors.RecordsError as error:
            _log.warning("%s", error)

    async def keep() -> None:
        status, revision = None, 0
        while True:
            if state.status is not status:
                status = state.status
                await write()
            revision = await parts.revisions.after(revision)

    await write()
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(keep())
        try:
            yield
        finally:
            keeping.cancel()
    await write()


@contextlib.contextmanager
def _stopping(experiment: loop.Loop, request: Request) -> Iterator[None]:
    """Stop the experiment, or leave it, on SIGTERM and SIGINT; stop it when an attached program has gone."""
    running, emit = asyncio.get_running_loop(), experiment.emit
    for number in (signal.SIGTERM, signal.SIGINT):
        if request.is_supervised:
            running.add_signal_handler(number, experiment.leave)
        else:
            by = f"signal {signal.Signals(number).name}"
            running.add_signal_handler(number, emit, event.StopRequested(by=by))
    source = sys.stdin.fileno()

    def listen_to_input() -> None:
        if not os.read(source, 4096):
            running.remove_reader(source)
            emit(event.StopRequested(by="the end of the program that started it"))

    if request.is_attached:
        running.add_reader(source, listen_to_input)
    try:
        yield
    finally:
        running.remove_reader(source)
        for number in (signal.SIGTERM, signal.SIGINT):
            running.remove_signal_handler(number)


def _first_of(group: BaseExceptionGroup[errors.NniError]) -> errors.NniError:
    """Return the first error of a group, to be told as one sentence."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, errors.NniError)  # noqa: S101 the group was split by it
    return error
