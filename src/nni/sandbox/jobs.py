"""What happens to Jobs, JobSets and TrainJobs on their way into the store: defaults, labels, rules.

For Jobs it is the API server's own doing, for the others that of their operators' mutating webhooks.
"""

from collections.abc import Iterator
from typing import Any

from nni.sandbox import schema, times

UID_LABEL, NAME_LABEL = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
_LEGACY = {UID_LABEL: "controller-uid", NAME_LABEL: "job-name"}
_DEFAULTS: dict[str, Any] = {
    "parallelism": 1,
    "backoffLimit": 6,
    "completionMode": "NonIndexed",
    "suspend": False,
    "manualSelector": False,
    "podReplacementPolicy": "TerminatingOrFailed",
}
_POLICIES = ("OnFailure", "Never")
_COUNTS = ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished")
_FIXED = ("selector", "completionMode", "template", "podFailurePolicy", "backoffLimitPerIndex", "managedBy")
_SCHEDULING = ("nodeSelector", "tolerations", "schedulingGates", "affinity")
"""What of a template may change while its job waits: Kueue needs it."""


def fill(body: schema.Object, now: times.Now) -> schema.Object:
    """Fill the defaults, and the labels by which a job's pods are known."""
    given = body.get("spec", {})
    spec = {**_DEFAULTS, "template": {}, **given}
    if "completions" not in spec and "parallelism" not in given:
        spec["completions"] = 1
    if spec["manualSelector"]:
        return {**body, "spec": spec}
    metadata = body["metadata"]
    own = {UID_LABEL: metadata["uid"], NAME_LABEL: metadata["name"]}
    own |= {_LEGACY[name]: value for name, value in own.items()}
    template = spec["template"]
    described = template.get("metadata", {})
    labelled = {**described, "labels": {**described.get("labels", {}), **own}}
    spec["template"] = {**template, "metadata": labelled}
    spec["selector"] = {"matchLabels": {UID_LABEL: metadata["uid"]}}
    return {**body, "metadata": {**metadata, "labels": metadata.get("labels") or labelled["labels"]}, "spec": spec}


def fill_set(body: schema.Object, now: times.Now) -> schema.Object:
    """Fill the defaults of a JobSet; pods are restarted on failure unless they say otherwise."""
    spec = {
        "successPolicy": {"operator": "All"},
        "startupPolicy": {"startupPolicyOrder": "AnyOrder"},
        **body.get("spec", {}),
    }
    spec["network"] = {"enableDNSHostnames": True, "publishNotReadyAddresses": True, **spec.get("network", {})}
    spec["replicatedJobs"] = [_filled(each) for each in spec.get("replicatedJobs", [])]
    return {**body, "spec": spec}


def fill_train(body: schema.Object, now: times.Now) -> schema.Object:
    """Write into each runtime patch of a TrainJob when it came."""
    patches = body.get("spec", {}).get("runtimePatches")
    if not patches:
        return body
    stamped = [{"time": times.stamp(now()), **each} for each in patches]
    return {**body, "spec": {**body["spec"], "runtimePatches": stamped}}


def findings(body: schema.Object, previous: schema.Object | None) -> Iterator[schema.Finding]:
    """Check the rules of Jobs that their type cannot say."""
    spec = body["spec"]
    yield from _template_findings(spec["template"].get("spec", {}))
    for name in _COUNTS:
        if spec.get(name, 0) < 0:
            message = f"Invalid value: {spec[name]}: must be greater than or equal to 0"
            yield schema.Finding(f"spec.{name}", "FieldValueInvalid", message)
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in ("NonIndexed", "Indexed"):
        message = f'Unsupported value: "{mode}": supported values: "Indexed", "NonIndexed"'
        yield schema.Finding("spec.completionMode", "FieldValueNotSupported", message)
    if mode == "Indexed" and "completions" not in spec:
        message = "Required value: when completion mode is Indexed"
        yield schema.Finding("spec.completions", "FieldValueRequired", message)
    if previous is not None:
        yield from _changes(spec, previous)


def _filled(replicated: schema.Object) -> schema.Object:
    template = replicated["template"]
    spec = {"completionMode": "Indexed", **template.get("spec", {})}
    pod = spec.get("template", {})
    spec["template"] = {**pod, "spec": {"restartPolicy": "OnFailure", **pod.get("spec", {})}}
    return {"replicas": 1, "groupName": "default", **replicated, "template": {**template, "spec": spec}}


def _template_findings(pod: schema.Object) -> Iterator[schema.Finding]:
    policy, path = pod.get("restartPolicy", "Always"), "spec.template.spec.restartPolicy"
    if policy == "Always":
        message = 'Required value: valid values: "OnFailure", "Never"'
        yield schema.Finding(path, "FieldValueRequired", message)
    elif policy not in _POLICIES:
        message = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        yield schema.Finding(path, "FieldValueNotSupported", message)
    if not pod.get("containers"):
        yield schema.Finding("spec.template.spec.containers", "FieldValueRequired", "Required value")
    for index, container in enumerate(pod.get("containers", [])):
        if not container.get("image"):
            where = f"spec.template.spec.containers[{index}].image"
            yield schema.Finding(where, "FieldValueRequired", "Required value")


def _changes(spec: schema.Object, previous: schema.Object) -> Iterator[schema.Finding]:
    before = previous["spec"]
    has_waited = before.get("suspend") and "startTime" not in previous.get("status", {})
    for name in _FIXED:
        old, new = before.get(name), spec.get(name)
        if name == "template" and has_waited:
            old, new = _placeless(before["template"]), _placeless(spec["template"])
        if old != new:
            yield schema.Finding(f"spec.{name}", "FieldValueInvalid", 'Invalid value: "object": field is immutable')
    is_elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    if before.get("completions") != spec.get("completions") and not is_elastic:
        message = f"Invalid value: {spec.get('completions')}: field is immutable"
        yield schema.Finding("spec.completions", "FieldValueInvalid", message)


def _placeless(template: schema.Object) -> schema.Object:
    pod = {name: value for name, value in template.get("spec", {}).items() if name not in _SCHEDULING}
    return {"spec": pod}
