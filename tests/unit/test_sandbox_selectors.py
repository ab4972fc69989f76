"""Selectors and patches: tables of what Kubernetes answers."""

from typing import Any

import pytest

from nni.sandbox import kinds, patches, schema, selectors, status

LABELS = {"app": "x", "tier": "front", "empty": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("app=x", True),
        ("app==x", True),
        ("app = x , tier=front", True),
        ("app=y", False),
        ("app!=y", True),
        ("missing!=y", True),
        ("missing=y", False),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("app in (x, y)", True),
        ("app in (y)", False),
        ("app notin (y,z),tier=front", True),
        ("missing notin (y)", True),
        ("missing in (y)", False),
        ("empty=", True),
        ("nni/experiment=a1,app=x", False),
    ],
)
def test_a_label_selector_matches_as_in_kubernetes(text: str, expected: bool) -> None:
    assert selectors.labels(text)(LABELS) is expected


@pytest.mark.parametrize("text", ["app=x=y", "a in x", "a in (x", "=x", "a b"])
def test_a_label_selector_that_cannot_be_read_is_a_bad_request(text: str) -> None:
    with pytest.raises(status.Refusal) as refusal:
        selectors.labels(text)
    assert refusal.value.code == 400


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (kinds.POD, "status.phase=Running", True),
        (kinds.POD, "status.phase!=Running", False),
        (kinds.POD, "metadata.name=one,spec.nodeName=", True),
        (kinds.PYTORCH_JOB, "metadata.namespace=default", True),
        (kinds.PYTORCH_JOB, "metadata.name=two", False),
    ],
)
def test_a_field_selector_matches_as_in_kubernetes(kind: kinds.Kind, text: str, expected: bool) -> None:
    found = {"metadata": {"name": "one", "namespace": "default"}, "spec": {}, "status": {"phase": "Running"}}
    assert selectors.fields(text, kind.selectable, kind.kind)(found) is expected


def test_custom_resources_are_selected_by_name_and_namespace_alone() -> None:
    with pytest.raises(status.Refusal) as refusal:
        selectors.fields("status.phase=Running", kinds.PYTORCH_JOB.selectable, "PyTorchJob")
    assert (refusal.value.code, "field label not supported" in str(refusal.value)) == (400, True)


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": None, "c": 3}}, {"a": {"c": 3}}),
    ],
)
def test_a_merge_patch(target: Any, patch: Any, expected: Any) -> None:
    assert patches.merge(target, patch) == expected


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/a", "value": 1}], {"l": [1, 2], "a": 1}),
        ([{"op": "add", "path": "/l/-", "value": 3}], {"l": [1, 2, 3]}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"l": [0, 1, 2]}),
        ([{"op": "remove", "path": "/l/0"}], {"l": [2]}),
        ([{"op": "replace", "path": "/l", "value": 5}], {"l": 5}),
        ([{"op": "move", "from": "/l", "path": "/m"}], {"m": [1, 2]}),
        ([{"op": "copy", "from": "/l/1", "path": "/n~1o"}], {"l": [1, 2], "n/o": 2}),
        ([{"op": "test", "path": "/l/0", "value": 1}, {"op": "remove", "path": "/l"}], {}),
    ],
)
def test_a_json_patch(operations: Any, expected: Any) -> None:
    assert patches.json_patch({"l": [1, 2]}, operations) == expected


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([{"op": "test", "path": "/l/0", "value": 9}], 422),
        ([{"op": "remove", "path": "/missing"}], 422),
        ([{"op": "replace", "path": "/missing", "value": 1}], 422),
        ([{"op": "dance", "path": "/l"}], 422),
        ({"op": "remove"}, 400),
        ([{"op": "replace", "path": "", "value": 1}], 400),
    ],
)
def test_a_json_patch_that_does_not_fit_changes_nothing(operations: Any, code: int) -> None:
    target = {"l": [1, 2]}
    with pytest.raises(status.Refusal) as refusal:
        patches.json_patch(target, operations)
    assert (refusal.value.code, target) == (code, {"l": [1, 2]})


def _strategic(patch: Any) -> Any:
    target = {
        "metadata": {"labels": {"a": "1"}, "finalizers": ["x"]},
        "spec": {"containers": [{"name": "one", "image": "i", "args": ["a"]}, {"name": "two", "image": "j"}]},
    }
    return patches.strategic(schema.load(), "Pod", target, patch)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (
            {"spec": {"containers": [{"name": "two", "image": "k"}]}},
            [{"name": "one", "image": "i", "args": ["a"]}, {"name": "two", "image": "k"}],
        ),
        ({"spec": {"containers": [{"name": "one", "$patch": "delete"}]}}, [{"name": "two", "image": "j"}]),
        ({"spec": {"containers": [{"$patch": "replace"}, {"name": "three"}]}}, [{"name": "three"}]),
        (
            {"spec": {"containers": [{"name": "one", "args": ["b"]}]}},
            [{"name": "one", "image": "i", "args": ["b"]}, {"name": "two", "image": "j"}],
        ),
    ],
)
def test_a_strategic_patch_joins_containers_by_name(patch: Any, expected: Any) -> None:
    assert _strategic(patch)["spec"]["containers"] == expected


def test_a_strategic_patch_adds_finalizers_and_removes_labels() -> None:
    patched = _strategic({"metadata": {"labels": {"a": None, "b": "2"}, "finalizers": ["y"]}})
    assert patched["metadata"] == {"labels": {"b": "2"}, "finalizers": ["x", "y"]}
