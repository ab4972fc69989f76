"""The sandbox's objects in a directory."""

import pathlib
from typing import Any

import pytest

from nni.sandbox import persistence, store, times


def found(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "uid": name}, **more}


def names(objects: store.Store) -> list[str]:
    return [key[1] for key, _ in objects.scan("configmaps")]


async def test_versions_go_on_where_they_ended_and_old_ones_are_gone(tmp_path: pathlib.Path) -> None:
    first = store.Store()
    with persistence.kept(tmp_path, first, times.utc_now):
        for name in "abc":
            first.put("configmaps", ("default", name), found(name))
        first.remove("configmaps", ("default", "b"))
    second = store.Store()
    with persistence.kept(tmp_path, second, times.utc_now):
        assert names(second) == ["a", "c"]
        version = second.version
        with pytest.raises(store.CompactedError):
            second.watch("configmaps", version - 1)
        stored = second.put("configmaps", ("default", "d"), found("d"))
        assert int(stored["metadata"]["resourceVersion"]) == version + 1


async def test_a_watch_from_zero_begins_with_what_there_is(tmp_path: pathlib.Path) -> None:
    objects = store.Store(history=1)
    for name in "ab":
        objects.put("configmaps", ("default", name), found(name))
    watch = objects.watch("configmaps", 0)
    objects.put("configmaps", ("default", "c"), found("c"))
    assert [(each.happening, each.object["metadata"]["name"]) for each in await watch.next()] == [
        ("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"),
    ]  # fmt: skip
    watch.close()


def test_the_past_does_not_fill_the_directory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "_LEAST_PAST", 10_000)
    objects = store.Store()
    with persistence.kept(tmp_path, objects, times.utc_now):
        for number in range(1000):
            objects.put("configmaps", ("default", "one"), found("one", data={"number": str(number)}))
        assert (tmp_path / "objects.jsonl").stat().st_size < 11_000
    again = store.Store()
    with persistence.kept(tmp_path, again, times.utc_now):
        one = again.get("configmaps", "default", "one")
        assert one is not None
        assert one["data"] == {"number": "999"}
    assert [path.name for path in tmp_path.iterdir()] == ["objects.jsonl"]


def test_events_and_nodes_are_not_kept(tmp_path: pathlib.Path) -> None:
    objects = store.Store()
    with persistence.kept(tmp_path, objects, times.utc_now):
        objects.put("events", ("default", "e"), found("e"))
        objects.put("nodes", ("", "n"), {"metadata": {"name": "n", "uid": "n"}})
    assert (tmp_path / "objects.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("node", "phase", "kept"),
    [
        ("", "Pending", "Pending"),
        ("n", "Pending", "Pending"),
        ("n", "Running", "Failed"),
        ("n", "Succeeded", "Succeeded"),
    ],
)
def test_a_pod_that_had_begun_and_not_ended_is_lost(tmp_path: pathlib.Path, node: str, phase: str, kept: str) -> None:
    objects = store.Store()
    with persistence.kept(tmp_path, objects, times.utc_now):
        states = [{"name": "c", "ready": True, "state": {"running": {}}}] if phase == "Running" else []
        pod = found("p", spec={"nodeName": node}, status={"phase": phase, "containerStatuses": states})
        objects.put("pods", ("default", "p"), pod)
    again = store.Store()
    with persistence.kept(tmp_path, again, times.utc_now):
        read = again.get("pods", "default", "p")
        assert read is not None
        assert read["status"]["phase"] == kept
        ended = [each["state"]["terminated"]["reason"] for each in read["status"]["containerStatuses"]]
        assert ended == (["ContainerStatusUnknown"] if phase == "Running" else [])
