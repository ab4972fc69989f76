"""The portal over real HTTP: what NNI's clients ask, what browsers ask, what neither may."""

import asyncio
import contextlib
import dataclasses
import gzip
import io
import json
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import yarl

from nni import errors
from nni.core import event, model
from nni.core import surroundings as around
from nni.server import events, health, listen
from nni.testing import story

API = "/api/v1/nni"
INDEX = '<!doctype html><html><head><base href="./" /><title>page</title></head><body></body></html>'


@pytest.fixture
def static(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "assets" / "page-a1b2.js").write_text("export {};")
    (tmp_path / "secret.txt").write_text("not to be served")
    return tmp_path


@pytest.fixture
def tale() -> story.Story:
    """Two trials that ended, one that runs."""
    tale = story.Story()
    tale.happens(event.Started())
    tale.runs("aaaaa", "bbbbb")
    tale.reports("aaaaa", "0.1", "0.2", final="0.3")
    tale.reports("aaaaa", "9", who=model.Replica("worker"))
    tale.ends("aaaaa")
    tale.ends("bbbbb", code=2, lines=["no such file"])
    tale.runs("ccccc")
    tale.reports("ccccc", '{"default": NaN}')
    return tale


class Caller:
    """Asks a portal, with the token unless told otherwise."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self.http = http
        self.url = url
        self.token = token

    async def ask(self, path: str, method: str = "GET", *, signed: bool = True, **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if signed else {}
        headers |= more.pop("headers", {})
        async with self.http.request(method, self.url + path, headers=headers, **more) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    async def get(self, path: str) -> Any:
        status, answer = await self.ask(API + path)
        assert status == 200, answer
        return answer


@contextlib.asynccontextmanager
async def calling(tale: story.Story, static: pathlib.Path, url_prefix: str = "") -> AsyncIterator[Caller]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with tale.shown(static, url_prefix=url_prefix) as url, aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Caller(http, url, tale.token)


async def test_what_clients_of_nni_ask(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        assert await portal.get("/check-status") == {"status": "RUNNING", "errors": []}
        assert (await portal.get("/experiment"))["params"]["trialConcurrency"] == 2
        assert (await portal.get("/experiment-metadata"))["id"] == "story123"
        assert await portal.get("/job-statistics") == [
            {"trialJobStatus": "RUNNING", "trialJobNumber": 1},
            {"trialJobStatus": "SUCCEEDED", "trialJobNumber": 1},
            {"trialJobStatus": "FAILED", "trialJobNumber": 1},
        ]
        assert [trial["trialJobId"] for trial in await portal.get("/trial-jobs")] == ["aaaaa", "bbbbb", "ccccc"]
        assert [trial["trialJobId"] for trial in await portal.get("/trial-jobs?status=FAILED")] == ["bbbbb"]
        assert (await portal.get("/trial-jobs/bbbbb"))["exitCode"] == 2
        assert await portal.get("/export-data") == [{"parameter": {"x": 0}, "value": "0.3", "trialJobId": "aaaaa"}]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", [("aaaaa", "0.1"), ("aaaaa", "0.2"), ("aaaaa", "0.3"), ("ccccc", '{"default": NaN}')]),
        ("?type=FINAL", [("aaaaa", "0.3")]),
        ("/aaaaa?type=PERIODICAL", [("aaaaa", "0.1"), ("aaaaa", "0.2")]),
        ("/aaaaa?replicas=all&type=PERIODICAL", [("aaaaa", "0.1"), ("aaaaa", "0.2"), ("aaaaa", "9")]),
        ("/bbbbb", []),
        ("?trials=ccccc,aaaaa&type=PERIODICAL", [("ccccc", '{"default": NaN}'), ("aaaaa", "0.1"), ("aaaaa", "0.2")]),
        ("?trials=aaaaa&type=PERIODICAL&since=1", [("aaaaa", "0.2")]),
        ("-latest", [("aaaaa", "0.2"), ("aaaaa", "0.3"), ("ccccc", '{"default": NaN}')]),
        ("-latest/", [("aaaaa", "0.2"), ("aaaaa", "0.3"), ("ccccc", '{"default": NaN}')]),
        ("-range/1/2", [("ccccc", '{"default": NaN}')]),
        ("-range/0/0", [("aaaaa", "0.1"), ("aaaaa", "0.2"), ("aaaaa", "0.3")]),
    ],
)
async def test_metrics(tale: story.Story, static: pathlib.Path, path: str, expected: list[tuple[str, str]]) -> None:
    async with calling(tale, static) as portal:
        answer = await portal.get(f"/metric-data{path}")
    assert [(metric["trialJobId"], json.loads(metric["data"])) for metric in answer] == expected


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("GET /nope", 404, "There is no GET /api/v1/nni/nope here."),
        ("POST /version", 404, "There is no POST /api/v1/nni/version here."),
        ("GET /trial-jobs/zzzzz", 404, "Experiment story123 has no trial zzzzz."),
        ("DELETE /trial-jobs/zzzzz", 404, "Experiment story123 has no trial zzzzz."),
        ("GET /metric-data/zzzzz", 404, "Experiment story123 has no trial zzzzz."),
        ("GET /trial-jobs?status=BORED", 400, "status=BORED is not one of WAITING, RUNNING"),
        ("GET /metric-data?type=", 400, "type= is not one of PERIODICAL, FINAL."),
        ("PUT /experiment?update_type=TRIAL_CONCURRENCY", 400, "The request's body is not JSON."),
        ("POST /trial-jobs", 400, "The request's body is not JSON."),
        ("GET /metric-data?trials=aaaaa,zzzzz", 404, "Experiment story123 has no trial zzzzz."),
        ("GET /metric-data?since=x", 400, "since=x is not a number."),
    ],
)
async def test_mistakes_are_answered_with_a_sentence(
    tale: story.Story, static: pathlib.Path, call: str, status: int, words: str
) -> None:
    async with calling(tale, static) as portal:
        method, path = call.split()
        actual, answer = await portal.ask(API + path, method)
    assert (actual, words in answer["error"]) == (status, True), answer


@pytest.mark.parametrize(
    "value", ["99999999999", "1e400", "-1", "true", '"5"', "2.5", "NaN", "[" * 100_000, "9" * 5000]
)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("TRIAL_CONCURRENCY", "trialConcurrency"),
        ("MAX_TRIAL_NUM", "maxTrialNumber"),
        ("MAX_EXEC_DURATION", "maxExperimentDuration"),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused_in_a_sentence(
    tale: story.Story, static: pathlib.Path, kind: str, name: str, value: str
) -> None:
    async with calling(tale, static) as portal:
        body = f'{{"params": {{"{name}": {value}}}}}'
        status, answer = await portal.ask(f"{API}/experiment?update_type={kind}", "PUT", data=body)
    assert (status, answer["error"].count("\n"), tale.commands) == (400, 0, []), answer
    assert len(answer["error"]) < 200


async def test_commands(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        profile = await portal.get("/experiment")
        profile["params"]["trialConcurrency"] = 7
        change = await portal.ask(f"{API}/experiment?update_type=TRIAL_CONCURRENCY", "PUT", json=profile)
        kill = await portal.ask(f"{API}/trial-jobs/ccccc", "DELETE")
        stop = await portal.ask(f"{API}/experiment", "DELETE")
        assert (change[0], kill[0], stop[0]) == (200, 200, 200)
        assert (await portal.get("/experiment"))["params"]["trialConcurrency"] == 7
        assert await portal.get("/check-status") == {"status": "STOPPING", "errors": []}
    assert tale.commands == [
        event.LimitsChanged(trial_concurrency=7, max_trial_number=6, max_experiment_seconds=None),
        event.KillRequested(trial=model.TrialId("ccccc")),
        event.StopRequested(by="the user"),
    ]


async def test_a_stop_may_go_on_without_the_platform(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        for asked in ("", "?force=true"):
            await portal.ask(f"{API}/experiment{asked}", "DELETE")
    stop = event.StopRequested(by="the user")
    assert tale.commands == [stop, dataclasses.replace(stop, without_platform=True)]


async def test_a_pause_ends_with_as_many_at_once_as_before(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        for number in (7, 0):
            change = {"params": {"trialConcurrency": number}}
            await portal.ask(f"{API}/experiment?update_type=TRIAL_CONCURRENCY", "PUT", json=change)
        assert (await portal.ask(f"{API}/experiment/resume", "POST"))[0] == 200
        assert (await portal.get("/experiment"))["params"]["trialConcurrency"] == 7
        status, answer = await portal.ask(f"{API}/experiment/resume", "POST")
        assert (status, answer["error"]) == (409, "Experiment story123 is RUNNING: nothing of it has failed.")
    assert [its.trial_concurrency for its in tale.commands if isinstance(its, event.LimitsChanged)] == [7, 0, 7]


async def test_a_trial_of_one_s_own(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        _, added = await portal.ask(f"{API}/trial-jobs", "POST", json={"x": 0.5})
        assert added == {"sequenceId": 3, "trialJobId": "own03"}
        assert (await portal.get("/trial-jobs/own03"))["status"] == "WAITING"
        wrong: tuple[Any, ...] = ([], {}, "x")
        for body in wrong:
            status, answer = await portal.ask(f"{API}/trial-jobs", "POST", json=body)
            assert (status, answer["error"]) == (400, "The body is not an object of parameters by their names.")
        await portal.ask(f"{API}/experiment", "DELETE")
        status, answer = await portal.ask(f"{API}/trial-jobs", "POST", json={"x": 1})
        assert (status, answer["error"]) == (409, "The experiment is stopping; it takes no trial any more.")
    assert tale.commands[0] == event.TrialRequested(trial=model.TrialId("own03"), parameters={"x": 0.5})


async def test_the_table_of_all_trials_says_where_to_listen_on(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        table = await portal.get("/trial-table")
        assert table["trials"]["id"] == ["aaaaa", "bbbbb", "ccccc"]
        assert (table["best"], table["experiment"]["namespace"]) == ("aaaaa", "default")
        tale.reports("ccccc", "0.4")
        async with listening(portal, after=table["place"]) as stream:
            _, data = await stream.next()
            assert ([trial["trialJobId"] for trial in data["trials"]], data["reset"]) == (["ccccc"], False)
            assert "searchSpace" not in data["experiment"]


async def test_a_trial_by_its_id_tells_of_its_replicas(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        replicas = (await portal.get("/trial-jobs/aaaaa"))["replicas"]
    assert [(its["role"], its["index"], its["metrics"], its.get("exitCode")) for its in replicas] == [
        ("master", 0, 3, 0),
        ("worker", 0, 1, None),
    ]


async def test_the_job_of_a_trial_as_the_platform_has_it(tale: story.Story, static: pathlib.Path) -> None:
    tale.jobs["nni-exp-story123-trial-ccccc"] = {
        "kind": "PyTorchJob",
        "metadata": {"name": "n", "managedFields": [{"manager": "nni"}]},
        "spec": {"command": "API_KEY=abc true"},
    }
    async with calling(tale, static) as portal:
        for query, key in (("", "abc"), ("?hide=secrets", "(hidden)")):
            status, text = await portal.ask(f"{API}/trial-manifest/ccccc{query}")
            shown = f"kind: PyTorchJob\nmetadata:\n  name: n\nspec:\n  command: API_KEY={key} true\n"
            assert (status, text) == (200, shown)
        status, answer = await portal.ask(f"{API}/trial-manifest/aaaaa")
        assert (status, answer["error"]) == (404, "There is no job of trial aaaaa on the platform now.")


async def test_the_pods_of_trials_under_way(tale: story.Story, static: pathlib.Path) -> None:
    pod = model.Pod(replica=story.CHIEF, name="p-master-0", phase="Running", node="n1")
    tale.observes("ccccc", model.JobPhase.RUNNING, pods=[pod])
    async with calling(tale, static) as portal:
        (seen,) = await portal.get("/pods")
    assert seen == {
        "trialJobId": "ccccc",
        "name": "p-master-0",
        "role": "master",
        "index": 0,
        "phase": "Running",
        "node": "n1",
        "state": "",
        "exitCode": None,
    }


async def test_what_is_around_the_jobs(tale: story.Story, static: pathlib.Path) -> None:
    places = {"nni-exp-story123-trial-ccccc": 2, "somebody-else-s": 1}
    amount = around.Amount(resource="cpu", used="4", most="8")
    tale.around = around.Surroundings(
        nodes=(around.Node(name="n1", is_ready=True, takes_pods=False, capacity={"cpu": "64"}),),
        quotas=(around.Quota(name="team", amounts=(amount,)),),
        queue=around.Queue(name="q", cluster_queue="gpus", admitted=1, waiting=2, amounts=(), places=places),
        unseen=("Nothing more.",),
    )
    async with calling(tale, static) as portal:
        assert await portal.get("/cluster") == {
            "nodes": [{"name": "n1", "isReady": True, "takesPods": False, "capacity": {"cpu": "64"}}],
            "quotas": [{"name": "team", "amounts": [{"resource": "cpu", "used": "4", "most": "8"}]}],
            "queue": {
                "name": "q",
                "clusterQueue": "gpus",
                "admitted": 1,
                "waiting": 2,
                "amounts": [],
                "places": {"ccccc": 2},
            },
            "unseen": ["Nothing more."],
        }
        tale.around = errors.PlatformUnavailableError("The API server does not answer.")
        assert await portal.ask(f"{API}/cluster") == (503, {"error": "The API server does not answer."})


async def test_the_doctor_s_report_is_made_anew_on_demand(tale: story.Story, static: pathlib.Path) -> None:
    tale.findings = [{"what": "queue", "verdict": "ok", "sentence": "None is asked for."}]
    async with calling(tale, static) as portal:
        assert await portal.get("/doctor") == {"at": None, "findings": []}
        made = {"at": 1795441600000, "findings": tale.findings}
        assert await portal.ask(f"{API}/doctor", "POST") == (200, made)
        assert await portal.get("/doctor") == made


async def test_signs_of_life_come_with_the_stream(tale: story.Story, static: pathlib.Path) -> None:
    tale.vitals.hears(health.TUNER, tale.now())
    async with calling(tale, static) as portal, listening(portal) as stream:
        await stream.next()
        tale.vitals.fails(health.TUNER, "The tuner is gone.", tale.now())
        _, data = await stream.next()
        assert data["trials"] == []
        assert data["health"] == await portal.get("/health")
    assert data["health"][0] == {
        "part": "tuner",
        "state": "failed",
        "heardAt": 1795441600000,
        "sentence": "The tuner is gone.",
        "since": 1795441600000,
    }
    assert [its["state"] for its in data["health"]] == ["failed", "unknown", "unknown", "unknown"]


async def test_nothing_is_answered_without_the_token(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        for path in ("/version", "/trial-jobs", "/events", "/nope"):
            status, answer = await portal.ask(API + path, signed=False)
            assert (status, "nnictl webui url story123" in answer["error"]) == (401, True)
        status, page = await portal.ask("/oview", signed=False)
        assert status == 401
        assert "nnictl webui url story123" in page
        status, page = await portal.ask("/oview?token=wrong", signed=False)
        assert (status, "old link" in page) == (401, True)
        assert tale.token not in page


async def test_the_link_signs_in_and_leaves_a_clean_address(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        login = f"{portal.url}/oview?token={tale.token}&tab=a%26b"
        async with portal.http.get(login, allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"] == "oview?tab=a%26b"
            cookie = answer.cookies["nni-story123"]
            assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        status, page = await portal.ask("/oview", signed=False)
        assert (status, "<title>page</title>" in page) == (200, True)
        assert (await portal.ask(f"{API}/version", signed=False))[0] == 200
        foreign = {"Sec-Fetch-Site": "same-site"}
        status, answer_ = await portal.ask(f"{API}/experiment", "DELETE", signed=False, headers=foreign)
        assert (status, answer_) == (403, {"error": "A page of another origin may not change this experiment."})
    assert tale.commands == []


async def test_a_link_on_another_site_is_asked_for_again_from_here(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        _, page = await portal.ask("/oview", signed=False, headers={"Sec-Fetch-Site": "cross-site"})
        assert 'http-equiv="refresh"' in page
        _, page = await portal.ask("/oview", signed=False, headers={"Sec-Fetch-Site": "same-origin"})
        assert 'http-equiv="refresh"' not in page


async def test_a_name_that_is_not_ours_is_not_answered(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal:
        for path in ("/oview", f"{API}/version", "/assets/page-a1b2.js"):
            status, answer = await portal.ask(path, headers={"Host": "evil.example"})
            assert (status, answer["error"]) == (403, "This portal does not answer under the name evil.example.")


@pytest.mark.parametrize(
    ("path", "base"), [("/oview", "./"), ("/detail", "./"), ("/trial/aaaaa", "../"), ("/trial/aaaaa/logs", "../../")]
)
@pytest.mark.parametrize("url_prefix", ["", "proxy/8080"])
async def test_pages_find_everything_by_relative_addresses(
    tale: story.Story, static: pathlib.Path, path: str, base: str, url_prefix: str
) -> None:
    async with calling(tale, static, url_prefix) as portal:
        headers = {"Authorization": f"Bearer {tale.token}"}
        async with portal.http.get(portal.url + path, headers=headers) as answer:
            page = await answer.text()
            assert f'<base href="{base}"' in page
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"
        asset = yarl.URL(portal.url + path).join(yarl.URL(base)).join(yarl.URL("assets/page-a1b2.js"))
        async with portal.http.get(asset) as answer:
            assert (answer.status, answer.content_type.rpartition("/")[2]) == (200, "javascript")
            assert "immutable" in answer.headers["Cache-Control"]


async def test_the_page_s_parts_outlive_their_files(tale: story.Story, static: pathlib.Path) -> None:
    whole, small = static / "assets" / "page-a1b2.js", static / "assets" / "page-a1b2.js.gz"
    small.write_bytes(gzip.compress(b"export {}; // packed"))
    async with calling(tale, static) as portal:
        # Somebody upgrades the package, or an environment is removed, while the experiment runs.
        for file in (whole, small, static / "index.html"):
            file.unlink()
        for accepted, expected in (("gzip", "export {}; // packed"), ("identity", "export {};")):
            headers = {"Accept-Encoding": accepted}
            async with portal.http.get(f"{portal.url}/assets/page-a1b2.js", headers=headers) as answer:
                assert (answer.status, await answer.text()) == (200, expected)
                assert answer.headers.get("Content-Encoding") == ("gzip" if accepted == "gzip" else None)
                assert (answer.headers["Vary"], "immutable" in answer.headers["Cache-Control"]) == (
                    "Accept-Encoding",
                    True,
                )
        status, page = await portal.ask("/oview")
        assert (status, "<title>page</title>" in page) == (200, True)


@pytest.mark.parametrize(
    "path", ["/secret.txt", "/assets/../secret.txt", "/assets/%2e%2e%2fsecret.txt", "/assets/no.js"]
)
async def test_files_beside_the_assets_are_not_served(tale: story.Story, static: pathlib.Path, path: str) -> None:
    async with calling(tale, static) as portal:
        url = yarl.URL(portal.url + path, encoded=True)
        async with portal.http.get(url, headers={"Authorization": f"Bearer {tale.token}"}) as answer:
            assert (answer.status, "not to be served" in await answer.text()) == (404, False)


@pytest.mark.parametrize(
    ("url_prefix", "path", "expected"),
    [("", "/", "/oview"), ("", "/?a=1", "/oview?a=1"), ("a/b", "", "/a/b/oview"), ("a/b", "/", "/a/b/oview")],
)
async def test_the_start_leads_to_the_overview(
    tale: story.Story, static: pathlib.Path, url_prefix: str, path: str, expected: str
) -> None:
    async with calling(tale, static, url_prefix) as portal:
        headers = {"Authorization": f"Bearer {tale.token}"}
        async with portal.http.get(portal.url + path, headers=headers) as answer:
            assert (answer.status, answer.url.path_qs) == (200, expected)


async def test_without_the_built_page_it_says_how_to_build_it(tale: story.Story, tmp_path: pathlib.Path) -> None:
    async with calling(tale, tmp_path / "absent") as portal:
        _, page = await portal.ask("/oview")
    assert "make web" in page


class Listener:
    """Reads a stream of server-sent events, one at a time."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self) -> tuple[str | None, dict[str, Any]]:
        """Return the next event's id and data; comments are passed over."""
        async with asyncio.timeout(10):
            while True:
                fields = {}
                while line := (await self._answer.content.readline()).decode().rstrip("\n"):
                    name, _, value = line.partition(": ")
                    fields[name] = value
                if "data" in fields:
                    return fields.get("id"), json.loads(fields["data"], parse_constant=pytest.fail)

    async def until(self, revision: int) -> list[dict[str, Any]]:
        """Return the data of all events up to a revision."""
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["revision"] < revision:
            seen.append((await self.next())[1])
        return seen


@contextlib.asynccontextmanager
async def listening(portal: Caller, last_id: str | None = None, after: str | None = None) -> AsyncIterator[Listener]:
    headers = {"Authorization": f"Bearer {portal.token}"} | ({"Last-Event-ID": last_id} if last_id else {})
    params = {"after": after} if after else {}
    async with portal.http.get(portal.url + API + "/events", headers=headers, params=params) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        yield Listener(answer)


async def test_ten_thousand_results_are_brought_at_once(tale: story.Story, static: pathlib.Path) -> None:
    parameters = {f"parameter{place}": place / 3 for place in range(10)}
    body = json.dumps([{"parameter": parameters, "value": 1}] * 10_000).encode()
    async with calling(tale, static) as portal:
        call = portal.ask(API + "/experiment/import-data", "POST", data=io.BytesIO(body))
        assert await call == (200, "")
    assert len(tale.state.imported) == 10_000


async def test_the_stream_tells_what_changed(tale: story.Story, static: pathlib.Path) -> None:
    async with calling(tale, static) as portal, listening(portal) as stream:
        first_id, first = await stream.next()
        assert first["reset"] is True
        assert [trial["trialJobId"] for trial in first["trials"]] == ["aaaaa", "bbbbb", "ccccc"]
        assert (first["best"], first["experiment"]["status"], first["counts"]["FAILED"]) == ("aaaaa", "RUNNING", 1)

        tale.reports("ccccc", final="0.4")
        tale.ends("ccccc")
        later = await stream.until(tale.state.revision)
        assert {trial["trialJobId"] for its in later for trial in its["trials"]} == {"ccccc"}
        assert (later[-1]["best"], later[-1]["counts"]["SUCCEEDED"], later[-1]["reset"]) == ("ccccc", 2, False)

        for again in (listening(portal, first_id), listening(portal, after=first_id)):
            async with again as resumed:
                _, missed = await resumed.next()
                assert ([trial["trialJobId"] for trial in missed["trials"]], missed["reset"]) == (["ccccc"], False)


@pytest.mark.parametrize("last_id", ["", "other-3", "nonsense", "-1", f"{1_795_441_600_000:x}-999"])
async def test_an_unknown_place_in_the_stream_gets_everything(
    tale: story.Story, static: pathlib.Path, last_id: str
) -> None:
    async with calling(tale, static) as portal, listening(portal, last_id) as stream:
        _, data = await stream.next()
        assert (data["reset"], len(data["trials"])) == (True, 3)


async def test_many_trials_come_in_several_events(static: pathlib.Path) -> None:
    tale = story.Story()
    tale.proposes(*(f"t{number:04}" for number in range(events.BATCH * 2 + 1)))
    async with calling(tale, static) as portal, listening(portal) as stream:
        got = [await stream.next() for _ in range(3)]
    assert [len(data["trials"]) for _, data in got] == [events.BATCH, events.BATCH, 1]
    assert [data["reset"] for _, data in got] == [True, False, False]
    assert [data["more"] for _, data in got] == [True, True, False]
    assert [event_id is not None for event_id, _ in got] == [False, False, True]


async def test_silence_is_filled_with_signs_of_life(
    tale: story.Story, static: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.01)
    async with calling(tale, static) as portal:
        headers = {"Authorization": f"Bearer {portal.token}"}
        async with portal.http.get(portal.url + API + "/events", headers=headers) as answer, asyncio.timeout(10):
            async for line in answer.content:
                if line == b": still here\n":
                    break


async def test_stopping_the_server_ends_open_streams_at_once(tale: story.Story, static: pathlib.Path) -> None:
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as http:
        async with contextlib.AsyncExitStack() as stack:
            url = await stack.enter_async_context(tale.shown(static))
            answer = await stack.enter_async_context(
                http.get(f"{url}{API}/events", headers={"Authorization": f"Bearer {tale.token}"})
            )
            await Listener(answer).next()
            before = loop.time()
            await stack.pop_all().__aexit__(None, None, None)
        assert loop.time() - before < 0.9


async def test_stopping_the_server_tells_the_last_change_first(tale: story.Story, static: pathlib.Path) -> None:
    async with aiohttp.ClientSession() as http, contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(tale.shown(static))
        async with http.get(f"{url}{API}/events", headers={"Authorization": f"Bearer {tale.token}"}) as answer:
            listener = Listener(answer)
            await listener.next()
            tale.happens(event.StopRequested(by="the user"), event.CleanedUp())
            await stack.aclose()
            *_, last = await listener.until(tale.state.revision)
            assert (last["experiment"]["status"], last["more"]) == ("STOPPED", False)
            assert await answer.content.read() == b""


async def test_a_port_in_use_is_one_sentence() -> None:
    with listen.bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(errors.PortInUseError, match=f"^Port {port} of 127.0.0.1 is in use by another program; .*"):
            listen.bind("127.0.0.1", port)
