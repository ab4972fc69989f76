"""NNI 3.0's own portal over the same ten thousand trials, for the ratio.

Its node manager runs in view mode over a database that is seeded here. It listens on every address without a login:
run this where nothing else can reach it.

    pip download --no-deps --python-version 3.8 --only-binary=:all: --platform manylinux1_x86_64 nni==3.0
    python -m zipfile -e nni-3.0-*.whl /tmp/nni-wheel
    unshare --net sh -c 'ip link set lo up && NNI_WHEEL=/tmp/nni-wheel .venv/bin/python -m benchmarks.portal'
"""

import asyncio
import dataclasses
import json
import os
import pathlib
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from typing import Any

import aiohttp

from nni.core import model
from nni.core import state as states
from nni.core import trial as trials
from nni.server import views

EXPERIMENT = "seeded12"
PORT = 18990
SCHEMA = """
create table TrialJobEvent (timestamp integer, trialJobId text, event text, data text, logPath text,
    sequenceId integer, message text, environmentId text);
create index TrialJobEvent_trialJobId on TrialJobEvent(trialJobId);
create index TrialJobEvent_event on TrialJobEvent(event);
create table MetricData (timestamp integer, trialJobId text, parameterId text, type text, sequence integer, data text);
create index MetricData_trialJobId on MetricData(trialJobId);
create index MetricData_type on MetricData(type);
create table ExperimentProfile (params text, id text, execDuration integer, startTime integer, endTime integer,
    logDir text, nextSequenceId integer, revision integer);
create index ExperimentProfile_id on ExperimentProfile(id);
"""
READY = "document.querySelector('.ms-DetailsRow') && document.querySelector('canvas')"
"""Rows and a chart are there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seeded:
    """A portal of NNI's that answers."""

    url: str


def wheel() -> pathlib.Path | None:
    """Return where NNI's wheel is unpacked, None when nobody said so."""
    named = os.environ.get("NNI_WHEEL")
    return pathlib.Path(named) if named else None


def seed(directory: pathlib.Path, state: states.State, points: int) -> None:
    """Write the database of an experiment as NNI 3.0 has it.

    Args:
        directory: The one that holds experiments.
        state: What happened.
        points: Intermediate results of each trial.
    """
    place = directory / EXPERIMENT / "db"
    place.mkdir(parents=True)
    with closing(sqlite3.connect(place / "nni.sqlite")) as database:
        database.executescript(SCHEMA)
        known = list(state.trials.values())
        start = views.milliseconds(state.started_at or 0)
        profile = (json.dumps(_params(state)), EXPERIMENT, 86400, start, None, str(directory), len(known), 1)
        database.execute("insert into ExperimentProfile values (?,?,?,?,?,?,?,?)", profile)
        events = (row for its in known for row in _events(its))
        database.executemany("insert into TrialJobEvent values (?,?,?,?,?,?,?,?)", events)
        metrics = (row for its in known for row in _metrics(its, points))
        database.executemany("insert into MetricData values (?,?,?,?,?,?)", metrics)
        database.commit()


def _params(state: states.State) -> dict[str, Any]:
    return {
        "experimentType": "hpo",
        "experimentName": "ten thousand",
        "searchSpace": dict(state.spec.search_space),
        "trialCommand": "python3 trial.py",
        "trialCodeDirectory": "/tmp",
        "trialConcurrency": 20,
        "maxTrialNumber": 2 * len(state.trials),
        "useAnnotation": False,
        "debug": False,
        "logLevel": "info",
        "experimentWorkingDirectory": "/tmp",
        "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}},
        "trainingService": {
            "platform": "local",
            "trialCommand": "python3 trial.py",
            "trialCodeDirectory": "/tmp",
            "debug": False,
            "maxTrialNumberPerGpu": 1,
            "reuseMode": False,
        },
    }


def _events(trial: trials.Trial) -> Iterator[tuple[Any, ...]]:
    listed = views.row(trial)
    yield (listed["submitTime"], trial.id, "WAITING", listed["hyperParameters"][0], None, trial.sequence, None, None)
    if "startTime" in listed:
        yield (listed["startTime"], trial.id, "RUNNING", None, None, trial.sequence, None, None)
    if trial.status.is_final:
        yield (listed["endTime"], trial.id, trial.status.value, None, None, trial.sequence, None, None)


def _metrics(trial: trials.Trial, points: int) -> Iterator[tuple[Any, ...]]:
    at, number = views.milliseconds(trial.created_at), str(trial.parameter_id)
    goal = trial.final_value or 0.0
    for step in range(points):
        value = json.dumps(json.dumps(goal * (step + 1) / points))
        yield (at + step, trial.id, number, model.MetricType.PERIODICAL.value, step, value)
    if trial.final is not None:
        yield (at + points, trial.id, number, model.MetricType.FINAL.value, 0, json.dumps(trial.final))


@asynccontextmanager
async def viewing(wheel: pathlib.Path, directory: pathlib.Path) -> AsyncIterator[Seeded]:
    """Run NNI's manager in view mode over the seeded database while the context is open."""
    home = wheel / "nni_node"
    (home / "node").chmod(0o755)
    (directory / "home" / "nni-experiments").mkdir(parents=True)
    # Without an entry in its list of experiments a request of its page is never answered.
    entry = {"id": EXPERIMENT, "port": PORT, "status": "VIEWED", "platform": "local", "pid": os.getpid()}
    entry |= {"experimentName": "ten thousand", "startTime": 1, "endTime": "N/A", "tag": [], "webuiUrl": []}
    entry |= {"logDir": str(directory), "prefixUrl": None}
    (directory / "home" / "nni-experiments" / ".experiment").write_text(json.dumps({EXPERIMENT: entry}))
    options = {
        "port": PORT,
        "experiment-id": EXPERIMENT,
        "action": "view",
        "experiments-directory": directory,
        "log-level": "info",
        "python-interpreter": sys.executable,
    }
    process = await asyncio.create_subprocess_exec(
        str(home / "node"),
        "--max-old-space-size=4096",
        str(home / "main.js"),
        *(f"--{name}={value}" for name, value in options.items()),
        cwd=home,
        env={**os.environ, "HOME": str(directory / "home"), "PYTHONPATH": str(wheel)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{PORT}"
    try:
        await _begin(url)
        yield Seeded(url)
    finally:
        process.terminate()
        await process.wait()


async def _begin(url: str) -> None:
    """Have it read the database, as soon as it answers."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.post(f"{url}/api/v1/nni/experiment", json={}) as answer:
                    if answer.status == 200 and "json" in answer.content_type:
                        return
                    said = await answer.text()
                    if answer.status == 200 and not said:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.5)
