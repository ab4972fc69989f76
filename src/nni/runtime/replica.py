"""One replica from start to end: the places, the command, its metrics and streams, and what is said about it."""

import contextlib
import os
import time
from typing import Callable, List, Mapping, Optional, Sequence, Set, Tuple

from nni import errors
from nni.runtime import (
    advice,
    care,
    files,
    journal,
    lifeline,
    linux,
    listener,
    log,
    outlet,
    place,
    push,
    relay,
    settings,
    stream,
)
from nni.wire import channel, intake, layout, marker, parameter, report

_CANNOT_START = 126
_TERMINATED = 128 + 15
_KILLED = 128 + 9
_DRAIN_SECONDS = 2.0
_PUSH_SECONDS = 10.0
_SWEEP_SECONDS = 120.0
_RELAY_SECONDS = 1.0
"""What is kept of the time for what the sweeps had to say."""
_LETTING_GO_SECONDS = 0.5


class Replica:
    """Runs the role's command once.

    Args:
        told: Who this replica is.
        environ: The container's environment.
        archive: Path of the runtime's archive.
        processes: Starts the command and cares for it.
        own_log: The runtime's log.
    """

    def __init__(
        self,
        told: settings.Settings,
        environ: Mapping[str, str],
        archive: str,
        processes: care.Care,
        own_log: log.Log,
    ) -> None:
        self._told = told
        self._environ = environ
        self._archive = archive
        self._care = processes
        self._log = own_log
        self._journal: Optional[journal.Journal] = None
        self._outlets: Sequence[outlet.Outlet] = ()
        self._stirs: Sequence[Callable[[], None]] = ()
        self._push = self._make_push()
        self._over: Set[str] = set()
        self._last_lines: Tuple[str, ...] = ()

    def run(self) -> int:
        """Run it; return the exit code for the container."""
        told = self._told
        self._open_volume()
        self._log.info(
            "replica %s-%d of attempt %d of trial %s starts, sequence number %d"
            % (told.role, told.replica, told.attempt, told.trial, told.sequence)
        )
        if self._push is not None:
            self._push.start()
        here = None
        try:
            here = place.make(told.pod)
            code = self._train(here)
        except errors.TrialError as error:
            self._log.error(f"this trial cannot start: {error}")
            self._last_lines = (str(error),)
            code = _CANNOT_START
        self._finish(code)
        if here is not None:
            place.remove(here)
        return code

    def _open_volume(self) -> None:
        directory = self._told.directory
        for path in (directory, os.path.join(directory, layout.OUTPUT), self._told.checkpoint):
            try:
                os.makedirs(path, exist_ok=True)
            except OSError as error:  # noqa: PERF203 - one may work where another does not
                self._log.warning(f"{path} cannot be made ({error.strerror}): the training goes on")
        self._log.open(os.path.join(directory, layout.LOG), self._grew)

    def _make_push(self) -> Optional[push.Push]:
        told = self._told
        if not told.intake:
            self._log.info("no intake is given: metrics stand in the journal alone")
            return None
        path = intake.path(told.experiment, told.trial, told.attempt, told.role, told.replica)
        return push.Push(
            push.sender(told.intake, path, told.token, told.fingerprint),
            lines_after=lambda number: self._journal.lines_after(number) if self._journal is not None else [],
            tell=lambda sentence: self._log.info(f"{sentence} ({told.intake})"),
            ended=self._ended("push"),
        )

    def _train(self, here: place.Place) -> int:
        """Prepare, run the command to its end, and take in everything that it said."""
        content = place.fill(here, self._archive, self._told)
        self._journal = taking = self._make_journal(content)
        receiver = self._make_listener(here, taking)
        for sentence in advice.give(self._told.command, here.work):
            self._log.warning(sentence)
        self._care.look()
        if self._care.stopped:
            self._log.info("told to stop before the command started")
            return _TERMINATED
        streams = self._start(here, receiver, taking)
        self._care.run_until(lambda: self._care.code is not None)
        self._care.clear_away()
        self._care.run_until(lambda: {"stdout", "stderr"} <= self._over, _DRAIN_SECONDS)
        if receiver is not None:
            receiver.close(_DRAIN_SECONDS)
        taking.close()
        stdout, stderr = streams
        self._last_lines = report.last_lines(stderr.tail) or report.last_lines(stdout.tail)
        return _KILLED if self._care.code is None else self._care.code

    def _start(
        self, here: place.Place, receiver: Optional[listener.Listener], taking: journal.Journal
    ) -> Tuple[stream.Stream, stream.Stream]:
        """Start the command first and our threads behind it."""
        metric_socket = "" if receiver is None else receiver.path
        environment = place.environment(self._environ, here, self._told, metric_socket)
        # Made before the command changes anything; started when it runs.
        outlets = outlet.make(self._told, here.work, tell=self._log.warning, ended=self._ended)
        self._stirs = outlet.stirs(outlets)
        (stdout, stdout_end), (stderr, stderr_end) = os.pipe(), os.pipe()
        try:
            self._care.start(self._told.command, here.work, environment, stdout_end, stderr_end)
        finally:
            os.close(stdout_end)
            os.close(stderr_end)
        self._log.info(f"the command runs: {self._told.command}")
        linux.hide_memory()
        lines = stream.MarkerLines(lambda line: self._take_line(line, taking), self._log.warning)
        streams = (
            self._make_stream(layout.STDOUT, stdout, 1, lines),
            self._make_stream(layout.STDERR, stderr, 2, None),
        )
        self._outlets = outlets
        for thread in (*streams, *outlets, receiver):
            if thread is not None:
                thread.start()
        return streams

    def _make_stream(self, name: str, source: int, console: int, lines: Optional[stream.MarkerLines]) -> stream.Stream:
        path = os.path.join(self._told.directory, name)
        return stream.Stream(
            name,
            source=source,
            console=console,
            file=files.Appending(path, self._log.warning, self._grew),
            lines=lines,
            ended=self._ended(name),
        )

    def _make_journal(self, content: bytes) -> journal.Journal:
        try:
            parameter_id = parameter.decode(content).parameter_id
        except errors.WireError as error:
            raise errors.TrialError(f"the parameter file is broken: {error}") from error
        return journal.Journal(
            os.path.join(self._told.directory, layout.JOURNAL),
            trial=self._told.trial,
            parameter_id=parameter_id,
            offer=self._push.offer if self._push is not None else _ignore,
            tell=self._log.warning,
            grew=self._grew,
        )

    def _make_listener(self, here: place.Place, taking: journal.Journal) -> Optional[listener.Listener]:
        def take(reports: Sequence[channel.Report]) -> List[int]:
            numbers = taking.append(reports)
            taking.sync()
            return numbers

        try:
            return listener.Listener(listener.place(here.pod), take)
        except OSError as error:
            self._log.warning(f"there is no metric socket ({error}): metrics go over standard output")
            return None

    def _take_line(self, line: bytes, taking: journal.Journal) -> None:
        """Take metrics that a stock nni printed."""
        for found in marker.find(line):
            if isinstance(found, marker.Broken):
                self._log.warning(f"a metric on standard output is passed over ({found.why}): {found.text}")
            elif found.trial not in (None, self._told.trial):
                self._log.warning(f"a metric on standard output belongs to trial {found.trial} and is passed over")
            else:
                taking.append([found.report])

    def _finish(self, code: int) -> None:
        """Say how it ended: on the volume, and to the intake while the last files are copied."""
        count = 0 if self._journal is None else self._journal.count
        self._log.info("the replica ends with exit code %d after %d metrics" % (code, count))
        ending = report.ReplicaExit(code, count, self._last_lines, self._care.stopped, round(time.time(), 3)).encode()
        try:
            files.replace(os.path.join(self._told.directory, layout.EXIT), ending)
        except OSError as error:
            self._log.warning(f"{layout.EXIT} cannot be written ({error.strerror})")
        waited_for = set()
        if self._push is not None:
            self._push.finish(ending, _PUSH_SECONDS)
            waited_for.add("push")
        outlets = [one for one in self._outlets or self._late_outlets() if one.is_alive()]
        relays = [one for one in outlets if isinstance(one, relay.Relay)]
        others = [one for one in outlets if not isinstance(one, relay.Relay)]
        for one in relays:
            one.announce_last()
        now, end_at = time.monotonic(), self._care.end_at
        until = now + _SWEEP_SECONDS
        # A grace period too short for that is halved.
        self._end(others, until if end_at is None else max(end_at - _RELAY_SECONDS, (now + end_at) / 2), waited_for)
        if self._push is not None and not self._push.is_complete:
            self._log.warning("the intake did not acknowledge everything: the rest stands in the journal")
        # The others have had things to say until now.
        self._end(relays, max(until, time.monotonic() + _RELAY_SECONDS), set())

    def _end(self, outlets: Sequence[outlet.Outlet], until: float, waited_for: Set[str]) -> None:
        """Let outlets do what is left, until some moment, and wait for them and for something else."""
        seconds = max(0.0, until - time.monotonic())
        for one in outlets:
            one.finish(seconds)
        waited_for = waited_for | {one.name for one in outlets}
        self._care.run_until(lambda: waited_for <= self._over, seconds)
        let_go = time.monotonic() + _LETTING_GO_SECONDS
        for one in outlets:
            # The time is over; it lets go between two pieces of a file.
            one.finish(0)
            one.join(max(0.0, let_go - time.monotonic()))

    def _late_outlets(self) -> Sequence[outlet.Outlet]:
        """Start what says how it ended, for a replica that never came to its command."""
        self._outlets = outlet.make_relay(self._told, tell=self._log.warning, ended=self._ended)
        self._stirs = outlet.stirs(self._outlets)
        for one in self._outlets:
            one.start()
        return self._outlets

    def _grew(self) -> None:
        for stir in self._stirs:
            stir()

    def _ended(self, name: str) -> Callable[[], None]:
        def end() -> None:
            self._over.add(name)
            self._care.wake()

        return end


def _ignore(number: int, line: bytes) -> None:
    """Take a line when there is no push."""


def run(argv: Sequence[str], archive: str) -> int:
    """Run the replica that the arguments and this process's environment name; return its exit code."""
    own_log = log.Log(console=2)
    try:
        told = settings.read(argv, os.environ)
    except errors.TrialError as error:
        own_log.error(f"this trial cannot start: {error}")
        return _CANNOT_START
    os.environ.pop("NNI_TRIAL_TOKEN", None)
    linux.blank_environment("NNI_TRIAL_TOKEN")
    processes = care.Care(own_log, told.grace)
    # After the guardian, which is made before any thread is.
    lifeline.watch(os.environ)
    os.environ.pop(lifeline.VARIABLE, None)
    with contextlib.closing(processes):
        return Replica(told, os.environ, archive, processes, own_log).run()
