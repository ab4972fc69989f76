"""``pods/eviction``: the polite way to take a pod away, as ``kubectl drain`` does."""

from nni.sandbox import kinds, registry, schema, status, times
from nni.sandbox.api import bodies


def evict(objects: registry.Registry, namespace: str, name: str, body: schema.Object) -> schema.Object:
    """Delete a pod and say in its status why; there are no disruption budgets here that could forbid it."""
    bodies.check(objects.types, "Eviction", body)
    how = bodies.deletion({}, body.get("deleteOptions") or {}, objects.types)
    pod = objects.get(kinds.POD, namespace, name)
    if not how.is_dry:
        pod = objects.set_status(kinds.POD, pod, _disrupted(pod, times.stamp(objects.now())))
    objects.delete(kinds.POD, namespace, name, how)
    return {**status.success({}), "code": 201}


def _disrupted(pod: schema.Object, moment: str) -> schema.Object:
    found = pod.get("status", {})
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastProbeTime": None,
        "lastTransitionTime": moment,
    }
    others = [each for each in found.get("conditions", []) if each["type"] != "DisruptionTarget"]
    return {**found, "conditions": [*others, condition]}
