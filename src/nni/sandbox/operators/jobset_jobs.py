"""The Jobs of a JobSet: how they are made, named and labelled, and what their numbers say."""

import hashlib
from collections.abc import Sequence
from typing import Any

from nni.sandbox import schema
from nni.sandbox.operators import job_plan

PREFIX = "jobset.sigs.k8s.io/"
_ATTEMPT = f"{PREFIX}restart-attempt"
_REPLICATED = f"{PREFIX}replicatedjob-name"


def subdomain(jobset: schema.Object) -> str:
    """Name the headless service under which its pods find each other."""
    return str(jobset["spec"]["network"].get("subdomain") or jobset["metadata"]["name"])


def name_of(jobset: schema.Object, replicated: schema.Object, index: int) -> str:
    """Name one Job."""
    return f"{jobset['metadata']['name']}-{replicated['name']}-{index}"


def service(jobset: schema.Object) -> schema.Object:
    """Make the headless service."""
    spec: schema.Object = {
        "clusterIP": "None",
        "selector": {f"{PREFIX}jobset-name": jobset["metadata"]["name"]},
        "publishNotReadyAddresses": jobset["spec"]["network"]["publishNotReadyAddresses"],
    }
    return {"metadata": {"name": subdomain(jobset)}, "spec": spec}


def job(jobset: schema.Object, replicated: schema.Object, index: int) -> schema.Object:
    """Make one Job."""
    template = replicated["template"]
    marks = _marks(jobset, replicated, index)
    pod = template["spec"]["template"]
    pod_spec = dict(pod.get("spec", {}))
    if jobset["spec"]["network"]["enableDNSHostnames"]:
        pod_spec["subdomain"] = subdomain(jobset)
    made = {"metadata": _marked(pod.get("metadata", {}), marks), "spec": pod_spec}
    return {
        "metadata": {**_marked(template.get("metadata", {}), marks), "name": name_of(jobset, replicated, index)},
        "spec": {**template["spec"], "template": made, "suspend": bool(jobset["spec"].get("suspend"))},
    }


def attempt_of(found: schema.Object) -> int:
    """Read of which attempt of its set a Job is."""
    text = str(found["metadata"].get("labels", {}).get(_ATTEMPT, ""))
    return int(text) if text.isdigit() else 0


def role_of(found: schema.Object) -> str:
    """Read to which replicated job a Job belongs."""
    return str(found["metadata"].get("labels", {}).get(_REPLICATED, ""))


def statuses(jobset: schema.Object, jobs: Sequence[schema.Object]) -> list[schema.Object]:
    """Count the Jobs of each replicated job by what has become of them."""
    found: list[schema.Object] = []
    for replicated in jobset["spec"]["replicatedJobs"]:
        counts: dict[str, Any] = dict.fromkeys(("ready", "succeeded", "failed", "active", "suspended"), 0)
        for each in jobs:
            if role_of(each) == replicated["name"]:
                _add(counts, each)
        found.append({"name": replicated["name"], **counts})
    return sorted(found, key=lambda each: str(each["name"]), reverse=True)


def _add(counts: dict[str, Any], found: schema.Object) -> None:
    state, spec = found.get("status", {}), found["spec"]
    if job_plan.condition(state, "Complete"):
        counts["succeeded"] += 1
    elif job_plan.condition(state, "Failed"):
        counts["failed"] += 1
    else:
        pods = min(spec["parallelism"], spec.get("completions", spec["parallelism"]))
        counts["ready"] += state.get("succeeded", 0) + state.get("ready", 0) >= pods
        counts["active"] += state.get("active", 0) > 0
        counts["suspended"] += bool(spec.get("suspend"))


def _marks(jobset: schema.Object, replicated: schema.Object, index: int) -> dict[str, str]:
    """Give the labels (and annotations, they are the same) of a Job and its pods."""
    namespace, everybody = jobset["metadata"]["namespace"], jobset["spec"]["replicatedJobs"]
    before = 0
    for each in everybody:
        if each["name"] == replicated["name"]:
            break
        before += each["replicas"]
    name = name_of(jobset, replicated, index)
    key = hashlib.sha1(f"{namespace}/{name}".encode(), usedforsecurity=False).hexdigest()
    return {
        f"{PREFIX}jobset-name": jobset["metadata"]["name"],
        f"{PREFIX}jobset-uid": jobset["metadata"]["uid"],
        _REPLICATED: replicated["name"],
        _ATTEMPT: str(jobset.get("status", {}).get("restarts", 0)),
        f"{PREFIX}replicatedjob-replicas": str(replicated["replicas"]),
        f"{PREFIX}global-replicas": str(sum(each["replicas"] for each in everybody)),
        f"{PREFIX}job-index": str(index),
        f"{PREFIX}job-key": key,
        f"{PREFIX}job-global-index": str(before + index),
    }


def _marked(metadata: schema.Object, marks: dict[str, str]) -> schema.Object:
    return {
        **metadata,
        "labels": {**metadata.get("labels", {}), **marks},
        "annotations": {**metadata.get("annotations", {}), **marks},
    }
