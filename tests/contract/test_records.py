"""The contract of the records over memory and SQLite, and what SQLite alone has to do."""

import asyncio
import contextlib
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nni import errors
from nni.core import event, model, ports
from nni.records import filesystem, sqlite
from nni.testing import records as contract


class TestMemoryRecords(contract.RecordsContract):
    async def open(self, directory: Path) -> ports.Records:
        return contract.MemoryRecords()


class TestSqliteRecords(contract.RecordsContract):
    async def open(self, directory: Path) -> ports.Records:
        return await sqlite.SqliteRecords.create(directory)


@contextlib.asynccontextmanager
async def created(directory: Path) -> AsyncIterator[sqlite.SqliteRecords]:
    records = await sqlite.SqliteRecords.create(directory)
    try:
        yield records
    finally:
        await records.close()


@contextlib.asynccontextmanager
async def reopened(directory: Path) -> AsyncIterator[sqlite.SqliteRecords]:
    records = await sqlite.SqliteRecords.open_existing(directory)
    try:
        yield records
    finally:
        await records.close()


def query(directory: Path, text: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(sqlite.path_in(directory))) as connection:
        return connection.execute(text).fetchall()


def is_empty(directory: Path) -> bool:
    return not list(directory.iterdir())


async def test_records_last(tmp_path: Path) -> None:
    told = contract.story()
    async with created(tmp_path) as records:
        await records.append(told[:9])
    async with reopened(tmp_path) as records:
        await records.append(told[9:])
        assert await records.replay() == told
    async with reopened(tmp_path) as records:
        assert await records.replay() == told


async def test_what_is_appended_is_there_for_another_process_at_once(tmp_path: Path) -> None:
    async with created(tmp_path) as records:
        await records.append(contract.story())
        assert query(tmp_path, "SELECT count(*) FROM events") == [(len(contract.story()),)]
        assert query(tmp_path, "PRAGMA journal_mode") == [("wal",)]


async def test_metrics_are_columns(tmp_path: Path) -> None:
    async with created(tmp_path) as records:
        await records.append(contract.story())
    assert query(tmp_path, "SELECT trial, attempt, role, idx, number, type, sequence, value FROM metrics") == [
        ("k2f9z", 1, "master", 0, 1, "PERIODICAL", 0, "0.5"),
        ("k2f9z", 1, "master", 0, 2, "FINAL", 0, "0.75"),
    ]
    plan = query(tmp_path, "EXPLAIN QUERY PLAN SELECT value FROM metrics WHERE TRUE AND type = 'FINAL' ORDER BY rowid")
    assert "final_metrics" in str(plan)


async def test_parameters_stand_there_once(tmp_path: Path) -> None:
    async with created(tmp_path) as records:
        for entry in contract.story():
            await records.append([entry])
    assert query(tmp_path, "SELECT id FROM parameters") == [(0,), (2,)]
    assert query(tmp_path, "SELECT count(*) FROM events WHERE event LIKE '%dense%'") == [(0,)]


async def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    async with created(tmp_path) as records:
        await records.append(contract.story())
        files = list((tmp_path / "db").iterdir())
        assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in files} == {
            "nni.sqlite": 0o600,
            "nni.sqlite-shm": 0o600,
            "nni.sqlite-wal": 0o600,
        }


async def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    told = contract.story()
    # A number that SQLite cannot hold, in the last event of a batch.
    broken = contract.at(99, contract.reported(contract.metric(2**63, "1")))
    async with created(tmp_path) as records:
        with pytest.raises(errors.RecordsError, match=r"nni\.sqlite cannot be used"):
            await records.append([*told[:5], broken])
        assert await records.replay() == []
        await records.append(told)
        assert await records.replay() == told


async def test_a_full_disk_is_one_sentence_and_passes(tmp_path: Path) -> None:
    async with created(tmp_path) as records:
        # A page limit is what SQLite itself treats as a full disk.
        await asyncio.wrap_future(records._writer.submit(lambda: limit_pages(records, 20)))
        told = [contract.at(1, event.Failed(message="x" * 1_000_000))]
        with pytest.raises(errors.RecordsError, match="database or disk is full"):
            await records.append(told)
        await asyncio.wrap_future(records._writer.submit(lambda: limit_pages(records, 100_000)))
        await records.append(told)
        assert await records.replay() == told


def limit_pages(records: sqlite.SqliteRecords, count: int) -> None:
    assert records._writing is not None
    records._writing.execute(f"PRAGMA max_page_count = {count}").fetchall()


async def test_a_long_read_holds_up_no_commit(tmp_path: Path) -> None:
    async with created(tmp_path) as records:
        await records.append(contract.story())
        reading = sqlite3.connect(sqlite.path_in(tmp_path))
        with contextlib.closing(reading):
            reading.execute("BEGIN")
            reading.execute("SELECT * FROM events").fetchone()
            await asyncio.wait_for(records.append(contract.story()[:1]), timeout=2)


async def test_half_a_surrogate_pair_in_a_metric_is_kept_as_json_reads_it(tmp_path: Path) -> None:
    async with created(tmp_path) as records:
        await records.append([contract.at(1, contract.reported(contract.metric(1, '"\ud800"')))])
        assert [row.metric.value for row in await records.metrics()] == ['"\\ud800"']


async def test_a_time_that_is_no_number_is_kept(tmp_path: Path) -> None:
    timeless = model.Metric(number=1, at=float("nan"), type=model.MetricType.FINAL, sequence=0, value="1")
    async with created(tmp_path) as records:
        await records.append([contract.at(1, contract.reported(timeless))])
        (row,) = await records.metrics()
        assert row.metric.at != row.metric.at


async def test_new_records_do_not_take_the_place_of_others(tmp_path: Path) -> None:
    async with created(tmp_path):
        pass
    with pytest.raises(errors.RecordsError, match="holds the records of an experiment already: resume it"):
        await sqlite.SqliteRecords.create(tmp_path)


async def test_records_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.RecordsError, match="holds no records of an experiment"):
        await sqlite.SqliteRecords.open_existing(tmp_path)
    assert is_empty(tmp_path)


async def test_records_of_a_newer_release(tmp_path: Path) -> None:
    async with created(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(sqlite.path_in(tmp_path))) as connection, connection:
        connection.execute("UPDATE schema SET version = 7")
    with pytest.raises(errors.RecordsError, match=r"written by a newer release \(schema 7, not 1\)"):
        await sqlite.SqliteRecords.open_existing(tmp_path)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = sqlite.path_in(tmp_path)
    path.parent.mkdir()
    path.write_text("something else, and long enough to be looked at" * 100)
    with pytest.raises(errors.RecordsError, match=r"nni\.sqlite cannot be used: file is not a database"):
        await sqlite.SqliteRecords.open_existing(tmp_path)


async def test_a_damaged_event_is_one_sentence(tmp_path: Path) -> None:
    async with created(tmp_path) as records:
        await records.append(contract.story())
        with contextlib.closing(sqlite3.connect(sqlite.path_in(tmp_path))) as connection, connection:
            connection.execute('UPDATE events SET event = \'{"is":"Unheard"}\' WHERE id = 3')
        with pytest.raises(errors.RecordsError, match=r"damaged \(KeyError\('Unheard'\)\)"):
            await records.replay()


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.RecordsError, match="Not a directory"):
        await sqlite.SqliteRecords.create(tmp_path / "file" / "experiment")


MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2
31 22 0:27 / /mnt/with\040blank rw,relatime - cifs //server/share rw
32 22 0:28 / /ssh rw - fuse.sshfs me@host: rw
33 30 0:29 / /home/me/local rw - xfs /dev/vdb rw
34 22 0:30 / /twice rw - nfs server:/a rw
35 22 0:31 / /twice rw - tmpfs tmpfs rw
"""
MACOS = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
//me@server/share on /Volumes/my share (smbfs, nodev, nosuid, mounted by me)
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/home/me/nni-experiments", "nfs4"),
        ("/home/me/local/deep/er", "xfs"),
        ("/homes", "ext4"),
        ("/mnt/with blank/x", "cifs"),
        ("/ssh", "fuse.sshfs"),
        ("/twice/x", "tmpfs"),
    ],
)
def test_the_kind_of_a_file_system_on_linux(directory: str, kind: str) -> None:
    assert filesystem.kind_of(Path(directory), filesystem.parse_mountinfo(MOUNTINFO)) == kind


@pytest.mark.parametrize(
    ("directory", "kind"), [("/Users/me", "apfs"), ("/Volumes/my share/x", "smbfs"), ("/dev/x", "devfs")]
)
def test_the_kind_of_a_file_system_on_macos(directory: str, kind: str) -> None:
    assert filesystem.kind_of(Path(directory), filesystem.parse_mount(MACOS)) == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "lustre"])
async def test_a_network_file_system_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "_mounts", lambda: {"/": "ext4", str(tmp_path): kind})
    with pytest.raises(errors.RecordsError, match=rf"network file system \({kind}\): set experiment_working_directory"):
        await sqlite.SqliteRecords.create(tmp_path)
    assert is_empty(tmp_path)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "tmpfs", "overlay", "9p", "fuse.fuse-overlayfs", "apfs", ""])
async def test_a_local_file_system_is_taken(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "_mounts", lambda: {str(tmp_path): kind})
    async with created(tmp_path):
        pass
