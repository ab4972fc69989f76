"""The experiment's database: one SQLite file, ``db/nni.sqlite`` in the experiment's directory.

Events are rows of JSON (see ``nni.records.codec``) that are only ever added. Metrics are rows of a table of their own,
for queries and so that a repeated report adds nothing; they belong to the event that brought them and are put back into
it at replay. Parameters are kept once, by their id. One thread writes, another reads, each with a connection of its
own: a long read holds up no commit.

A snapshot of the state fits beside the events: a table with the state as of an event's id, and a replay from there.
"""

import asyncio
import collections
import contextlib
import dataclasses
import json
import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, Self, TypeVar

from nni import errors
from nni.core import event, model, ports
from nni.records import codec, filesystem

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE schema (version INTEGER NOT NULL);
CREATE TABLE parameters (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, event TEXT NOT NULL);
CREATE TABLE metrics (
    event INTEGER NOT NULL REFERENCES events (id),
    trial TEXT NOT NULL, attempt INTEGER NOT NULL, role TEXT NOT NULL, idx INTEGER NOT NULL, number INTEGER NOT NULL,
    at REAL, received_at REAL NOT NULL, type TEXT NOT NULL, sequence INTEGER NOT NULL, value TEXT NOT NULL,
    UNIQUE (trial, attempt, role, idx, number)
);
CREATE INDEX final_metrics ON metrics (type) WHERE type = 'FINAL'
"""
_COLUMNS = "trial, attempt, role, idx, number, at, received_at, type, sequence, value"
_INSERT_METRIC = f"INSERT OR IGNORE INTO metrics (event, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608

_FINAL = "WHERE type = 'FINAL'"
_OUTLINE = f"""SELECT id, at, event FROM events WHERE event NOT LIKE '{{"is":"ReplicaReported"%'
    OR event LIKE '%"exit":{{%' OR id IN (SELECT event FROM metrics {_FINAL}) ORDER BY id"""  # noqa: S608
"""All events but reports of intermediate metrics."""

T = TypeVar("T")


def path_in(directory: Path) -> Path:
    """Return where the records of the experiment with this directory are."""
    return directory / "db" / "nni.sqlite"


class SqliteRecords:
    """``Records`` in a SQLite file. Made by ``create`` or ``open_existing``."""

    def __init__(self, path: Path) -> None:
        """Take the path of a database that is there; nothing is opened yet."""
        self._path = path
        self._writer = futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="records-writer")
        self._reader = futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="records-reader")
        self._writing: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._known: dict[int, Mapping[str, Any]] = {}
        self._last_event = 0

    @classmethod
    async def create(cls, directory: Path) -> Self:
        """Make the records of a new experiment.

        Args:
            directory: The experiment's own; made if it is not there.

        Raises:
            RecordsError: The directory has records already, is on a network file system, or cannot be written.
        """
        return await cls._opened(path_in(directory), lambda path: _make(directory, path))

    @classmethod
    async def open_existing(cls, directory: Path) -> Self:
        """Open the records of an experiment that ran before.

        Args:
            directory: The experiment's own.

        Raises:
            RecordsError: There are none, they are on a network file system, come from a newer release, or are broken.
        """
        return await cls._opened(path_in(directory), lambda path: _find(directory, path))

    @classmethod
    async def _opened(cls, path: Path, prepare: Callable[[Path], None]) -> Self:
        records = cls(path)

        def open_to_write() -> None:
            prepare(path)
            records._open_to_write()

        try:
            await records._run(records._writer, open_to_write)
        except BaseException:
            await records.close()
            raise
        return records

    async def append(self, entries: Sequence[ports.Entry]) -> None:
        """See the port."""
        await self._run(self._writer, lambda: self._append(entries))

    async def replay(self) -> Sequence[ports.Entry]:
        """See the port."""
        return await self._decoded(lambda: _replay(self._to_read()))

    async def metrics(
        self, trial: model.TrialId | None = None, kind: model.MetricType | None = None
    ) -> Sequence[ports.MetricRow]:
        """See the port."""
        return await self._run(self._reader, lambda: _metrics(self._to_read(), trial, kind))

    async def outline(self) -> Sequence[ports.Entry]:
        """Return what ``replay`` returns, as if no intermediate metric had been reported.

        What became of each trial follows from it, and it is read in a fraction of the time.

        Raises:
            RecordsError: The records are damaged.
        """
        return await self._decoded(lambda: _outline(self._to_read()))

    async def close(self) -> None:
        """See the port."""
        with contextlib.suppress(errors.RecordsError):
            await self._run(self._reader, self._close_reading)
            await self._run(self._writer, self._close_writing)
        self._reader.shutdown()
        self._writer.shutdown()

    async def _decoded(self, read: Callable[[], T]) -> T:
        try:
            return await self._run(self._reader, read)
        except (KeyError, TypeError, ValueError) as error:
            raise errors.RecordsError(f"The records in {self._path} are damaged ({error!r}).") from error

    async def _run(self, executor: futures.Executor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, work)
        except (sqlite3.Error, OSError, OverflowError) as error:
            raise errors.RecordsError(f"The records in {self._path} cannot be used: {error}.") from error

    def _open_to_write(self) -> None:
        self._writing = _connect(self._path)
        _check_version(self._writing, self._path)
        self._known = _known(self._writing)
        (self._last_event,) = self._writing.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()

    def _to_read(self) -> sqlite3.Connection:
        if self._reading is None:
            self._reading = _connect(self._path)
            self._reading.execute("PRAGMA query_only = ON")
        return self._reading

    def _append(self, entries: Sequence[ports.Entry]) -> None:
        """Write events in one transaction; what the writer knows changes with it or not at all."""
        assert self._writing is not None  # noqa: S101
        added: dict[int, Mapping[str, Any]] = {}
        known = collections.ChainMap(added, self._known)
        events, metrics = [], []
        for number, entry in enumerate(entries, self._last_event + 1):
            happened = entry.event
            if isinstance(happened, event.ReplicaReported) and happened.metrics:
                metrics += _rows(number, entry.at, happened)
                happened = dataclasses.replace(happened, metrics=())
            events.append((number, entry.at, json.dumps(codec.encode(happened, known), separators=(",", ":"))))
        parameters = [(number, json.dumps(value, separators=(",", ":"))) for number, value in added.items()]
        with _transaction(self._writing, "BEGIN IMMEDIATE"):
            self._writing.executemany("INSERT INTO parameters VALUES (?, ?)", parameters)
            self._writing.executemany("INSERT INTO events VALUES (?, ?, ?)", events)
            self._writing.executemany(_INSERT_METRIC, metrics)
        self._known.update(added)
        self._last_event += len(events)

    def _close_reading(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _close_writing(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None


def _make(directory: Path, path: Path) -> None:
    """Make the file, for its owner alone (SQLite gives its other files the same mode), with empty tables."""
    filesystem.refuse_network(directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError as error:
        raise errors.RecordsError(
            f"{directory} holds the records of an experiment already: resume it, or choose another id."
        ) from error
    with contextlib.closing(_connect(path)) as connection, _transaction(connection, "BEGIN IMMEDIATE"):
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO schema VALUES (?)", (SCHEMA_VERSION,))


def _find(directory: Path, path: Path) -> None:
    filesystem.refuse_network(directory)
    if not path.is_file():
        raise errors.RecordsError(f"{directory} holds no records of an experiment.")


def _connect(path: Path) -> sqlite3.Connection:
    """Open a connection that this thread alone will use; transactions are begun by hand."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("SELECT version FROM schema").fetchone()
    if version > SCHEMA_VERSION:
        raise errors.RecordsError(
            f"The records in {path} were written by a newer release (schema {version}, not {SCHEMA_VERSION}): "
            "upgrade nni-kubeflow."
        )


def _known(connection: sqlite3.Connection) -> dict[int, Mapping[str, Any]]:
    return {number: json.loads(value) for number, value in connection.execute("SELECT id, value FROM parameters")}


def _rows(number: int, at: float, reported: event.ReplicaReported) -> list[tuple[Any, ...]]:
    """Return the rows of the metrics that an event brings."""
    attempt, replica = reported.attempt, reported.replica
    whose = (number, attempt.trial, attempt.number, replica.role, replica.index)
    return [
        (*whose, metric.number, metric.at, at, metric.type.value, metric.sequence, _storable(metric.value))
        for metric in reported.metrics
    ]


def _storable(text: str) -> str:
    """Return JSON text as UTF-8 can hold it: half a surrogate pair becomes its escape, which JSON reads alike."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _metric_row(row: Sequence[Any]) -> ports.MetricRow:
    trial, attempt, role, index, number, at, received_at, kind, sequence, value = row
    return ports.MetricRow(
        attempt=model.AttemptKey(model.TrialId(trial), attempt),
        replica=model.Replica(role, index),
        metric=model.Metric(
            number=number,
            at=math.nan if at is None else at,  # SQLite has no NaN
            type=model.MetricType(kind),
            sequence=sequence,
            value=value,
        ),
        received_at=received_at,
    )


def _replay(connection: sqlite3.Connection) -> Sequence[ports.Entry]:
    with _transaction(connection, "BEGIN"):
        known = _known(connection)
        brought: dict[int, list[model.Metric]] = collections.defaultdict(list)
        for number, *row in connection.execute(f"SELECT event, {_COLUMNS} FROM metrics ORDER BY rowid"):  # noqa: S608
            brought[number].append(_metric_row(row).metric)
        entries = []
        for number, at, text in connection.execute("SELECT id, at, event FROM events ORDER BY id"):
            happened = codec.decode(json.loads(text), known)
            if number in brought and isinstance(happened, event.ReplicaReported):
                happened = dataclasses.replace(happened, metrics=tuple(brought[number]))
            entries.append(ports.Entry(at=at, event=happened))
    return entries


def _outline(connection: sqlite3.Connection) -> Sequence[ports.Entry]:
    with _transaction(connection, "BEGIN"):
        known = _known(connection)
        brought: dict[int, list[model.Metric]] = collections.defaultdict(list)
        counts: collections.Counter[tuple[model.AttemptKey, model.Replica]] = collections.Counter()
        for number, *row in connection.execute(f"SELECT event, {_COLUMNS} FROM metrics {_FINAL} ORDER BY rowid"):  # noqa: S608
            its = _metric_row(row)
            # A metric counts where none is missing before it.
            counts[its.attempt, its.replica] += 1
            brought[number].append(dataclasses.replace(its.metric, number=counts[its.attempt, its.replica]))
        entries = []
        for number, at, text in connection.execute(_OUTLINE):
            happened = codec.decode(json.loads(text), known)
            if isinstance(happened, event.ReplicaReported):
                last = counts[happened.attempt, happened.replica]
                its_exit = happened.exit and dataclasses.replace(happened.exit, metrics=last)
                happened = dataclasses.replace(happened, metrics=tuple(brought[number]), exit=its_exit)
            entries.append(ports.Entry(at=at, event=happened))
    return entries


def _metrics(
    connection: sqlite3.Connection, trial: model.TrialId | None, kind: model.MetricType | None
) -> Sequence[ports.MetricRow]:
    conditions = ["TRUE"]
    if trial is not None:
        conditions.append("trial = :trial")
    if kind is not None:
        conditions.append(f"type = '{kind.value}'")  # as a literal, so that the index of final metrics serves
    query = f"SELECT {_COLUMNS} FROM metrics WHERE {' AND '.join(conditions)} ORDER BY rowid"  # noqa: S608
    rows = connection.execute(query, {"trial": trial})
    return [_metric_row(row) for row in rows]
