"""Joins the parts of one experiment and runs it: the only place where parts are chosen."""

import asyncio
import contextlib
import dataclasses
import functools
import logging
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from nni import check, errors
from nni._version import __version__
from nni.config import experiment as configs
from nni.core import event, model, ports
from nni.core import spec as specs
from nni.core.state import State
from nni.manager import (
    doctor,
    doors,
    ground,
    ids,
    importance,
    leftovers,
    lifetime,
    lookout,
    loop,
    machine,
    performer,
    recall,
    renewal,
    secrets,
    snapshot,
    vitals,
)
from nni.manager import porter as porters
from nni.manager import request as requests
from nni.records import registry, sqlite
from nni.server import auth, events, health, intake, listen, portal, rest, views
from nni.server import exchange as exchanges
from nni.storage import joined, mounted
from nni.tuners import registry as known_algorithms

_log = logging.getLogger(__name__)

STATIC = Path(portal.__file__).parent / "static"


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """See the port."""
        return time.time()  # noqa: TID251 the one clock


CLOCK = SystemClock()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is joined around the loop."""

    request: requests.Request
    spec: specs.ExperimentSpec
    state: State
    records: sqlite.SqliteRecords
    revisions: events.Revisions
    tokens: secrets.TrialTokens
    clock: ports.Clock
    running: loop.Loop
    heard: vitals.Heard
    assessor: renewal.Assessor | None
    porter: porters.Porter | None
    stand: ground.Ground
    doctor: doctor.Doctor


async def run(
    request: requests.Request,
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
    spec = check.checked(configs.ExperimentConfig.from_dict(request.config), is_begun=request.is_begun)
    with lifetime.logging_to(
        request.directory / "log" / "nnimanager.log", spec.log_level, to_stderr=request.is_supervised
    ):
        try:
            async with contextlib.AsyncExitStack() as stack:
                parts = await _join(request, spec, environment, stack, say)
                stack.enter_context(
                    lifetime.stopping(
                        parts.running,
                        attached=request.is_attached,
                        supervised=request.is_supervised,
                        is_silent=lambda: parts.heard.vitals.is_failing(health.PLATFORM),
                    )
                )
                is_stopped = request.only_looks_at(parts.state)
                if not is_stopped:
                    parts.running.emit(event.Started(promotes=known_algorithms.may_have_more_later(spec.tuner)))
                removal = parts.stand.removal(request.experiment_id)
                async with machine.listed(_known(parts), parts.state, parts.revisions, removal):
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
            raise lifetime.first_of(ours) from group


async def _join(
    request: requests.Request,
    spec: specs.ExperimentSpec,
    environment: Mapping[str, str],
    stack: contextlib.AsyncExitStack,
    say: Callable[[str], None],
) -> _Parts:
    """Make and open every part; the stack takes them apart again in the opposite order."""
    portal_socket = stack.enter_context(contextlib.closing(listen.bind(requests.HOST, request.port)))
    stand, practice = await stack.enter_async_context(_stand(request, spec, environment, say))
    intake_socket = stack.enter_context(contextlib.closing(listen.bind(stand.intake_host, request.port + 1)))
    records, state = await requests.replayed(request, spec, stack)
    tokens = secrets.trial_tokens(request.directory)
    files = await stand.files(request.experiment_id, request.url)
    files_for_pods = stand.exchange(request.experiment_id, files)
    if files_for_pods is not None and state.live:
        await asyncio.to_thread(requests.check_port, request)
    door = await asyncio.to_thread(doors.of, stand, request.directory, request.port + 1)
    tuner, assessor = renewal.of(state, request.directory / "log" / "dispatcher.log")
    revisions = events.Revisions(state.revision)
    platform = functools.partial(stand.platform, request.experiment_id, door=door, tokens=tokens.of, clock=CLOCK)
    heard = vitals.Heard(health.Vitals(revisions.nudge), CLOCK, platform=platform, tuner=tuner, volume=files.volume)
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
    if not request.only_looks_at(state):
        # Nothing is made for an experiment that was stopped and is only looked at.
        await snapshot.take(files, request.directory, spec.platform.code_limit_mib << 20, say)
        say("Connecting, uploading code, starting the tuner")
        await _open(heard, assessor, snapshot.upload(files, request.directory), running.emit, stack)
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
        assessor=assessor,
        porter=stand.porter(request.experiment_id, door),
        stand=stand,
        doctor=practice,
    )
    await _serve(parts, files_for_pods, door, (intake_socket, portal_socket), stack)
    return parts


async def _serve(
    parts: _Parts,
    files: exchanges.Exchange | None,
    door: doors.Door,
    sockets: tuple[socket.socket, socket.socket],
    stack: contextlib.AsyncExitStack,
) -> None:
    """Open the ports for trials and for people."""
    for_trials, for_people = sockets
    await stack.enter_async_context(listen.serve(_intake(parts, files), for_trials, door.tls))
    if parts.porter is not None:
        await stack.enter_async_context(parts.porter.on_call())
    await stack.enter_async_context(listen.serve(_portal(parts), for_people))


async def _open(
    heard: vitals.Heard,
    assessor: renewal.Assessor | None,
    uploading: Coroutine[Any, Any, None],
    emit: ports.Emit,
    stack: contextlib.AsyncExitStack,
) -> None:
    """Open what takes its time, all at once."""
    openings = [uploading, heard.platform.open(emit), heard.tuner.open()]
    stack.push_async_callback(heard.platform.close)
    stack.push_async_callback(heard.tuner.close)
    if assessor is not None:
        openings.append(assessor.open())
        stack.push_async_callback(assessor.close)
    async with asyncio.TaskGroup() as tasks:
        for opening in openings:
            tasks.create_task(opening)


@contextlib.asynccontextmanager
async def _stand(
    request: requests.Request, spec: specs.ExperimentSpec, environment: Mapping[str, str], say: Callable[[str], None]
) -> AsyncIterator[tuple[ground.Ground, doctor.Doctor]]:
    """Hold the platform and the volume, which have what the experiment needs, and who looked at them."""
    finding = ground.found(spec, request.experiment_id, environment=environment, directory=request.directory, say=say)
    async with finding as stand:
        found = await stand.examine()
        doctor.insist(found, say)
        await asyncio.to_thread(leftovers.remember, request.directory, spec, stand)
        yield stand, doctor.Doctor(lambda: doctor.look(stand), CLOCK, found)


async def _reopen(parts: _Parts) -> None:
    """Begin the tuner and the assessor anew, and go on with what the new assessor thinks of the trials that run."""
    await parts.heard.tuner.open()
    if parts.assessor is not None:
        await parts.assessor.open()
        rows = await parts.records.metrics(kind=model.MetricType.PERIODICAL)
        for rejected in await recall.recall(parts.assessor, parts.state, rows, with_running=True):
            parts.running.emit(rejected)
    await parts.running.commit(event.TunerReopened())


def _portal(parts: _Parts) -> web.Application:
    request = parts.request
    return portal.make_app(
        sources=rest.Sources(
            state=parts.state,
            records=parts.records,
            revisions=parts.revisions,
            request=parts.running.commit,
            reopen=lambda: _reopen(parts),
            clock=parts.clock,
            vitals=parts.heard.vitals,
            volume=_shown(parts),
            growth=_growth(parts),
            logs=mounted.MountedVolume(request.directory / "log"),
            new_trial_id=lambda: ids.new_trial_id(parts.state.trials, random.SystemRandom()),
            space_problems=lambda value: check.space_problems(
                parts.state.spec, value, (trial.parameters for trial in parts.state.trials.values())
            ),
            experiments=machine.experiments,
            results=machine.results,
            importance=importance.Importance(parts.state).ask,
            job=parts.stand.job,
            surroundings=lookout.Lookout(parts.stand.surroundings, parts.clock).ask,
            doctor=parts.doctor,
        ),
        about=views.About(
            port=request.port,
            pid=os.getpid(),
            platform=_platform_name(parts.spec),
            log_directory=str(request.directory),
            version=__version__,
            url_prefix=request.url_prefix,
            many_at_once=specs.EASY_AT_ONCE * (os.cpu_count() or 1) if _platform_name(parts.spec) == "local" else None,
            removal=parts.stand.removal(request.experiment_id),
        ),
        guard=auth.Guard(request.experiment_id, secrets.portal_token(request.directory)),
        hosts=auth.Hosts.of(requests.HOST),
        static=STATIC,
    )


def _shown(parts: _Parts) -> ports.Readable:
    """Return the trials' files as people see them."""
    here = parts.heard.volume
    return here if parts.porter is None else joined.JoinedVolume(here, parts.porter.volume)


def _growth(parts: _Parts) -> ports.Growth | None:
    """Return what tells when these files grow."""
    known = parts.stand.growth
    return known if known is None or parts.porter is None else joined.JoinedGrowth(known)


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
        door=None if parts.porter is None else parts.porter.door,
    )


def _platform_name(spec: specs.ExperimentSpec) -> str:
    return "local" if isinstance(spec.platform, specs.LocalSpec) else "kubeflow"


def _known(parts: _Parts) -> registry.Known:
    """Return what this machine's list of experiments says of a new one."""
    request, spec = parts.request, parts.spec
    return registry.Known(
        id=request.experiment_id,
        name=spec.name,
        platform=_platform_name(spec),
        port=request.port,
        url_prefix=request.url_prefix or None,
        pid=os.getpid(),
        process_mark=registry.process_mark(os.getpid()),
        status=parts.state.status.value,
        start_time=parts.clock.now(),
        end_time=None,
        directory=request.directory,
        working_directory=Path(spec.working_directory),
    )
