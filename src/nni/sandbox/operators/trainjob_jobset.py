"""The JobSet that Kubeflow Trainer makes of a TrainJob and its runtime.

Of the runtimes' policies ``torch`` gets its variables; ``mpi``, ``jax``, ``xgboost`` and ``flux`` get none here.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

from nni.sandbox import patches, quantities, schema

STEP = "trainer.kubeflow.org/trainjob-ancestor-step"
PORT = 29500
RESERVED = ("PET_MASTER_ADDR", "PET_MASTER_PORT", "PET_NNODES", "PET_NODE_RANK", "PET_NPROC_PER_NODE")
NODE = "node"
INITIALIZERS = {"dataset-initializer": "dataset", "model-initializer": "model"}
_RANK = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}


def build(types: schema.Types, job: schema.Object, runtime: schema.Object) -> schema.Object:
    """Make the JobSet."""
    spec, given = job["spec"], copy.deepcopy(runtime.get("spec", {}))
    template, policy = given.get("template", {}), given.get("mlPolicy")
    made = template.get("spec", {})
    made["replicatedJobs"] = _patched(types, made.get("replicatedJobs", []), spec.get("runtimePatches", []))
    for replicated in made["replicatedJobs"]:
        replicated["template"].setdefault("spec", {}).setdefault("template", {}).setdefault("spec", {})
        step = replicated["template"].get("metadata", {}).get("labels", {}).get(STEP)
        if step == "trainer":
            _train(job, replicated, policy)
        elif step in INITIALIZERS:
            replicated["replicas"] = 1
            _initialize(replicated, step, spec.get("initializer", {}).get(INITIALIZERS[step]))
    made["suspend"] = bool(spec.get("suspend"))
    described = [template.get("metadata", {}), *(_template(each).get("metadata", {}) for each in _all(spec))]
    metadata: schema.Object = {"name": job["metadata"]["name"]}
    for part in ("labels", "annotations"):
        merged = {name: value for each in described for name, value in each.get(part, {}).items()}
        if merged:
            metadata[part] = merged
    return {"metadata": metadata, "spec": made}


def processes_per_node(trainer: schema.Object) -> str:
    """Say how many processes torchrun is to start: without GPUs, as many as there are CPUs."""
    if "numProcPerNode" in trainer:
        return str(trainer["numProcPerNode"])
    resources = trainer.get("resourcesPerNode")
    amounts = [resources[part] for part in ("limits", "requests") if resources.get(part)] if resources else []
    if not resources or any("gpu" in name.lower() for each in amounts for name in each):
        return "auto"
    cpus = next((each["cpu"] for each in amounts if "cpu" in each), 1)
    return str(max(1, math.ceil(quantities.parse(cpus))))


def _all(spec: schema.Object) -> Sequence[schema.Object]:
    found: Sequence[schema.Object] = spec.get("runtimePatches", [])
    return found


def _template(patch: schema.Object) -> schema.Object:
    found: schema.Object = patch.get("trainingRuntimeSpec", {}).get("template", {})
    return found


def replicated_patches(patch: schema.Object) -> list[schema.Object]:
    """Give what a runtime patch says about the replicated jobs."""
    found: list[schema.Object] = _template(patch).get("spec", {}).get("replicatedJobs", [])
    return found


def _patched(
    types: schema.Types, jobs: Sequence[schema.Object], given: Sequence[schema.Object]
) -> list[schema.Object]:  # fmt: skip
    found = list(jobs)
    for patch in (each for one in given for each in replicated_patches(one) if "template" in each):
        found = [
            {**each, "template": patches.strategic(types, "JobTemplate", each["template"], patch["template"])}
            if each["name"] == patch["name"]
            else each
            for each in found
        ]
    return found


def _train(job: schema.Object, replicated: schema.Object, policy: schema.Object | None) -> None:
    trainer = job["spec"].get("trainer")
    spec = replicated["template"]["spec"]
    nodes = spec.get("parallelism", 1) if policy is None else policy.get("numNodes", 1)
    nodes = (trainer or {}).get("numNodes", nodes)
    replicated["replicas"] = 1
    spec["parallelism"] = spec["completions"] = nodes
    for container in spec["template"]["spec"].get("containers", []):
        if container["name"] == NODE and trainer is not None:
            _equip(container, trainer)
            if policy is not None and "torch" in policy:
                _upsert(container, _rendezvous(job["metadata"]["name"], nodes, trainer))
                _add_port(container)


def _equip(container: schema.Object, trainer: schema.Object) -> None:
    container |= {name: trainer[name] for name in ("image", "command", "args") if name in trainer}
    resources = trainer.get("resourcesPerNode", {})
    if resources.get("limits") or resources.get("requests"):
        container["resources"] = {part: resources[part] for part in ("limits", "requests") if part in resources}
    _upsert(container, trainer.get("env", []))


def _rendezvous(name: str, nodes: int, trainer: schema.Object) -> list[schema.Object]:
    return [
        {"name": "PET_NNODES", "value": str(nodes)},
        {"name": "PET_NPROC_PER_NODE", "value": processes_per_node(trainer)},
        {"name": "PET_NODE_RANK", "valueFrom": _RANK},
        {"name": "PET_MASTER_ADDR", "value": f"{name}-{NODE}-0-0.{name}"},
        {"name": "PET_MASTER_PORT", "value": str(PORT)},
    ]


def _initialize(replicated: schema.Object, step: str, source: schema.Object | None) -> None:
    for container in replicated["template"]["spec"]["template"]["spec"].get("containers", []):
        if container["name"] != step or source is None:
            continue
        if "storageUri" in source:
            _upsert(container, [{"name": "STORAGE_URI", "value": source["storageUri"]}])
        _upsert(container, source.get("env", []))
        if "secretRef" in source:
            container["envFrom"] = [*container.get("envFrom", []), {"secretRef": source["secretRef"]}]


def _upsert(container: schema.Object, variables: Sequence[Any]) -> None:
    """Set variables in the place of others of their names, or at the end."""
    if variables:
        known = {each["name"]: each for each in (*container.get("env", []), *variables)}
        container["env"] = list(known.values())


def _add_port(container: schema.Object) -> None:
    ports = container.get("ports", [])
    if not any(each["containerPort"] == PORT for each in ports):
        container["ports"] = [*ports, {"containerPort": PORT}]
