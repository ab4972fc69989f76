"""The compact schemas of the job kinds against the custom resource definitions that Kubeflow ships.

They are no part of this repository: ``NNI_TEST_CRDS`` names their folder, else ``shared/crds`` beside it is taken.
"""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from nni.sandbox import schema

FOLDER = pathlib.Path(os.environ.get("NNI_TEST_CRDS") or pathlib.Path(__file__).parents[3] / "shared" / "crds")
FILES = {
    "PyTorchJob": "kubeflow.org_pytorchjobs.yaml",
    "TFJob": "kubeflow.org_tfjobs.yaml",
    "TrainJob": "trainer.kubeflow.org_trainjobs.yaml",
    "TrainingRuntime": "trainer.kubeflow.org_trainingruntimes.yaml",
    "ClusterTrainingRuntime": "trainer.kubeflow.org_clustertrainingruntimes.yaml",
}
SCALARS = {"string": "string", "time": "string", "int": "integer", "number": "number", "bool": "boolean"}
EITHER = ("int|string", "quantity")
Node = dict[str, Any]


@pytest.fixture(scope="module")
def types() -> schema.Types:
    return schema.load()


def definition(kind: str) -> Node:
    path = FOLDER / FILES[kind]
    if not path.exists():
        pytest.skip(f"no custom resource definitions at {FOLDER} (NNI_TEST_CRDS names their folder)")
    text = path.read_text()
    versions: list[Node] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]["versions"]
    return dict(versions[0]["schema"]["openAPIV3Schema"])


def differences(types: schema.Types, name: str, node: Node, path: str) -> Iterator[str]:
    """Yield how one of our types differs from theirs, and all that it holds."""
    ours, theirs = types.by_name[name], node.get("properties", {})
    for missing in theirs.keys() - ours.keys():
        yield f"{path}.{missing}: we do not have it"
    for field in ours.values():
        where = f"{path}.{field.name}"
        if field.name not in theirs:
            yield f"{where}: they do not have it"
            continue
        if field.is_required != (field.name in node.get("required", [])):
            yield f"{where}: required is {field.is_required} with us"
        if field.default is not None and field.default != theirs[field.name].get("default"):
            yield f"{where}: the default is {field.default} with us"
        if field.name != "metadata" or path.count("."):
            yield from of_value(types, field.expression, theirs[field.name], where)


def of_value(types: schema.Types, expression: str, node: Node, path: str) -> Iterator[str]:
    kind = node.get("type")
    if expression == "any":
        return
    if expression in EITHER:
        if not node.get("x-kubernetes-int-or-string"):
            yield f"{path}: {expression} with us, {kind} with them"
    elif expression.startswith("["):
        yield from of_value(types, expression[1:-1], node["items"], f"{path}[]") if kind == "array" else [path]
    elif expression.startswith("{"):
        values = node.get("additionalProperties")
        yield from of_value(types, expression[1:-1], values, f"{path}.*") if values else [path]
    elif expression in types.by_name:
        yield from differences(types, expression, node, path) if kind == "object" else [path]
    elif SCALARS.get(expression, "string") != kind:
        yield f"{path}: {expression} with us, {kind} with them"
    elif expression not in SCALARS and "enum" in node and set(expression.split("|")) != set(node["enum"]) - {""}:
        yield f"{path}: {expression} with us, {node['enum']} with them"


@pytest.mark.parametrize("kind", FILES)
def test_our_types_are_those_of_the_definition(types: schema.Types, kind: str) -> None:
    assert sorted(differences(types, kind, definition(kind), kind)) == []


def test_a_difference_is_found() -> None:
    text = "Thing\n  count int\n  extra string\n  word* string\n"
    theirs = {"type": "object", "properties": {"count": {"type": "string"}, "word": {"type": "string"}, "more": {}}}
    assert sorted(differences(schema.Types([text]), "Thing", theirs, "Thing")) == [
        "Thing.count: int with us, string with them",
        "Thing.extra: they do not have it",
        "Thing.more: we do not have it",
        "Thing.word: required is True with us",
    ]
