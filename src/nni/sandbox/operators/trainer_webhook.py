"""The rules of Kubeflow Trainer's kinds and of JobSets: of their schemas and of their validating webhooks."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from nni.sandbox import kinds, schema, store
from nni.sandbox.operators import training_webhook, trainjob, trainjob_jobset

_LABEL = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_MANAGER = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$")
_FIXED = {
    "runtimeRef": "object", "trainer": "object", "initializer": "object", "managedBy": "string",
    "activeDeadlineSeconds": "integer",
}  # fmt: skip
_MANAGERS = ("trainer.kubeflow.org/trainjob-controller", "kueue.x-k8s.io/multikueue")
_PATCHES = "spec.runtimePatches"
_PLACES = ("nodeSelector", "tolerations", "schedulingGates")
_IMMUTABLE = 'spec.replicatedJobs: Invalid value: "object": field is immutable'


class TrainJobWebhook:
    """Refuses TrainJobs that do not fit their runtime."""

    def __init__(self, objects: store.Store) -> None:
        self._objects = objects

    def check(self, new: schema.Object, old: schema.Object | None) -> None:
        """Refuse what the schema's rules (422) or the webhook (403) refuse."""
        broken = list(_broken_rules(new, old))
        if broken:
            raise kinds.TRAIN_JOB.invalid(new["metadata"]["name"], broken)
        problems = list(self._problems(new, old))
        if problems:
            raise training_webhook.denied("validator.trainjob.trainer.kubeflow.org", problems)

    def _problems(self, new: schema.Object, old: schema.Object | None) -> Iterator[str]:
        if "spec" not in new:
            yield "unsupported runtime: "
            return
        reference = new["spec"]["runtimeRef"]
        kind = trainjob.RUNTIMES.get(reference["kind"])
        if kind is None or kind.group != reference["apiGroup"]:
            yield f"unsupported runtime: {reference['kind']}.{reference['apiGroup']}"
            return
        place = new["metadata"]["namespace"] if kind.is_namespaced else ""
        runtime = self._objects.get(kind.resource, place, reference["name"])
        if runtime is None:
            word = kind.kind[0].lower() + kind.kind[1:]
            yield (
                f'spec.runtimeRef: Invalid value: {_written(reference)}: {kind.title} "{reference["name"]}" not found: '
                f"specified {word} must be created before the TrainJob is created"
            )
            return
        yield from _environment_problems(new["spec"], runtime)
        yield from self._patch_changes(new, old)
        yield from _patch_problems(new["spec"], runtime)

    def _patch_changes(self, new: schema.Object, old: schema.Object | None) -> Iterator[str]:
        if old is None or _timeless(old) == _timeless(new):
            return
        if not old["spec"].get("suspend") and not new["spec"].get("suspend"):
            rule = "RuntimePatches can only be modified when the TrainJob is suspended before or after the update"
            yield f"{_PATCHES}: Forbidden: {rule}"
            return
        metadata = new["metadata"]
        jobset = self._objects.get(kinds.JOB_SET.resource, metadata["namespace"], metadata["name"]) or {}
        for each in jobset.get("status", {}).get("replicatedJobsStatus", []):
            if each["active"]:
                rule = "RuntimePatches cannot be modified when the JobSet's ReplicatedJob"
                yield f"{_PATCHES}: Forbidden: {rule} {each['name']} is still active"


def check_runtime(kind: kinds.Kind) -> Callable[[schema.Object, schema.Object | None], None]:
    """Make the webhook of a kind of runtime: replicated jobs have one replica each."""

    def check(new: schema.Object, old: schema.Object | None) -> None:
        jobs = new.get("spec", {}).get("template", {}).get("spec", {}).get("replicatedJobs", [])
        problems = [
            f"spec.template.spec.replicatedJobs[{index}].replicas: Invalid value: {each['replicas']}: always must be 1"
            for index, each in enumerate(jobs)
            if each["replicas"] != 1
        ]
        if problems:
            raise training_webhook.denied(f"validator.{kind.singular}.trainer.kubeflow.org", problems)

    return check


def check_jobset(new: schema.Object, old: schema.Object | None) -> None:
    """Refuse JobSets whose Jobs or pods would get names that are too long, or that name what they do not have."""
    name, known = new["metadata"]["name"], set[str]()
    inside = "template.spec.template.spec.containers"
    empty = [
        schema.Finding(f"spec.replicatedJobs[{index}].{inside}", "FieldValueRequired", "Required value")
        for index, each in enumerate(new["spec"]["replicatedJobs"])
        if not _container_names(each["template"])
    ]
    if empty:
        raise kinds.JOB_SET.invalid(name, empty)
    problems = [] if old is None or _fixed(old, new) == _fixed(new, old) else [_IMMUTABLE]
    for each in new["spec"]["replicatedJobs"]:
        problems += _length_problems(name, each)
        known.add(each["name"])
        problems += [
            f"replicatedJob: {each['name']} cannot depend on replicatedJob: {other['name']}"
            for other in each.get("dependsOn", [])
            if other["name"] not in known
        ]
    problems += [
        f"invalid replicatedJob name '{target}' does not appear in .spec.ReplicatedJobs"
        for target in new["spec"]["successPolicy"].get("targetReplicatedJobs", [])
        if target not in known
    ]
    if problems:
        # This webhook joins its errors by line ends.
        raise training_webhook.denied("vjobset.kb.io", ["\n".join(problems)])


def _fixed(jobset: schema.Object, other: schema.Object) -> list[schema.Object]:
    """Give the part of a JobSet that stays; while it is suspended before or after, pods may be sent elsewhere."""
    jobs: list[schema.Object] = jobset["spec"]["replicatedJobs"]
    if not jobset["spec"].get("suspend") and not other["spec"].get("suspend"):
        return jobs
    return [{**each, "template": _placeless(each["template"])} for each in jobs]


def _placeless(template: schema.Object) -> schema.Object:
    spec = template["spec"]
    pod = {name: value for name, value in spec["template"]["spec"].items() if name not in _PLACES}
    return {**template, "spec": {**spec, "template": {"spec": pod}}}


def _length_problems(name: str, replicated: schema.Object) -> Iterator[str]:
    job = f"{name}-{replicated['name']}-{replicated['replicas'] - 1}"
    pods = replicated["template"]["spec"].get("completions")
    if len(job) > 63:
        yield "JobSet name is too long, job names generated for this JobSet will exceed 63 characters"
    if pods is not None and len(f"{job}-{pods - 1}-abcde") > 63:
        yield "JobSet name is too long, pod names generated for this JobSet will exceed 63 characters"


def _broken_rules(new: schema.Object, old: schema.Object | None) -> Iterator[schema.Finding]:
    name, spec = new["metadata"]["name"], new.get("spec", {})
    if not _LABEL.match(name):
        yield _rule("<nil>", "object", "metadata.name must match RFC 1035 DNS label format")
    if len(name) > 63:
        yield _rule("<nil>", "object", "metadata.name must be no more than 63 characters")
    if spec.get("managedBy", _MANAGERS[0]) not in _MANAGERS:
        rule = "ManagedBy must be trainer.kubeflow.org/trainjob-controller or kueue.x-k8s.io/multikueue if set"
        yield _rule("spec.managedBy", "string", rule)
    if spec.get("activeDeadlineSeconds", 1) < 1:
        given = spec["activeDeadlineSeconds"]
        rule = f"Invalid value: {given}: spec.activeDeadlineSeconds in body should be greater than or equal to 1"
        yield schema.Finding("spec.activeDeadlineSeconds", "FieldValueInvalid", rule)
    for field, word in _FIXED.items():
        before = (old or {}).get("spec", {})
        if field in before and field in spec and before[field] != spec[field]:
            yield _rule(f"spec.{field}", word, "field is immutable")


def _rule(path: str, word: str, rule: str) -> schema.Finding:
    return schema.Finding(path, "FieldValueInvalid", f'Invalid value: "{word}": {rule}')


def _environment_problems(spec: schema.Object, runtime: schema.Object) -> Iterator[str]:
    variables = spec.get("trainer", {}).get("env", [])
    reserved = sorted(each["name"] for each in variables if each["name"] in trainjob_jobset.RESERVED)
    if reserved and "torch" in runtime.get("spec", {}).get("mlPolicy", {}):
        rule = f"must not have reserved envs, invalid envs configured: [{' '.join(reserved)}]"
        yield f"spec.trainer.env: Invalid value: {_written(variables)}: {rule}"


def _patch_problems(spec: schema.Object, runtime: schema.Object) -> Iterator[str]:
    given = spec.get("runtimePatches", [])
    jobs = runtime.get("spec", {}).get("template", {}).get("spec", {}).get("replicatedJobs", [])
    names = {each["name"]: _container_names(each["template"]) for each in jobs}
    value = f"{_PATCHES}: Invalid value: {_written(given)}:"
    for patch in given:
        if not _MANAGER.match(patch["manager"]):
            rule = 'must be a domain-prefixed path (such as "acme.io/foo")'
            yield f'{_PATCHES}.manager: Invalid value: "{patch["manager"]}": {rule}'
        for each in trainjob_jobset.replicated_patches(patch):
            if each["name"] not in names:
                yield f"{value} must not have replicated job that doesn't exist in the runtime job template"
                continue
            for rule in _container_rules(each, names[each["name"]]):
                yield f"{value} {rule}"


def _container_rules(patch: schema.Object, known: set[str]) -> Iterator[str]:
    pod = patch.get("template", {}).get("spec", {}).get("template", {}).get("spec", {})
    reserved = (*trainjob_jobset.INITIALIZERS, trainjob_jobset.NODE)
    for part, word in (("initContainers", "initContainer"), ("containers", "container")):
        for each in pod.get(part, []):
            if each["name"] not in known:
                yield f"must not have {word} that doesn't exist in the runtime job {patch['name']}"
            elif part == "containers" and each.get("env") and each["name"] in reserved:
                yield f"must not have envs for the {', '.join(reserved)} containers"


def _container_names(job: schema.Object) -> set[str]:
    pod = job.get("spec", {}).get("template", {}).get("spec", {})
    return {each["name"] for part in ("initContainers", "containers") for each in pod.get(part, [])}


def _timeless(job: schema.Object) -> list[Any]:
    patches = job["spec"].get("runtimePatches", [])
    return [{name: value for name, value in each.items() if name != "time"} for each in patches]


def _written(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
