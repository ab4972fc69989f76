"""Whether a cluster has what an experiment needs: every check is a question, and its finding says how to mend it."""

import dataclasses
import enum
from collections.abc import Callable, Sequence

from nni import errors
from nni.config import service
from nni.core import spec
from nni.platforms.kubeflow import api, client, inquiries, kinds, surroundings

_SECRETS = api.Resource(group="", version="v1", plural="secrets")
_EVENTS = api.Resource(group="", version="v1", plural="events")
_RUNTIMES = api.Resource(group="trainer.kubeflow.org", version="v1alpha1", plural="trainingruntimes")


class Verdict(enum.StrEnum):
    """What a check came to."""

    OK = "ok"
    WARNING = "warning"
    """An experiment can run, but something is missing or cannot be known."""
    FAILED = "failed"
    """An experiment cannot run."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    what: str
    """What was looked at, in a few words."""
    verdict: Verdict
    sentence: str
    """What was found, and how to mend it where it is not right."""


def ok(what: str, sentence: str) -> Finding:
    """Return the finding that something is right."""
    return Finding(what=what, verdict=Verdict.OK, sentence=sentence)


def warning(what: str, sentence: str) -> Finding:
    """Return the finding that something is missing that can be done without, or cannot be known."""
    return Finding(what=what, verdict=Verdict.WARNING, sentence=sentence)


def failed(what: str, sentence: str) -> Finding:
    """Return the finding that an experiment cannot run."""
    return Finding(what=what, verdict=Verdict.FAILED, sentence=sentence)


async def examine(
    connection: client.Client,
    kind: kinds.JobKind,
    version: str,
    wanted: spec.KubeflowSpec,
    job: api.Object,
    *,
    has_porter: bool = False,
) -> list[Finding]:
    """Make all checks that change nothing on the cluster.

    Args:
        connection: The namespace.
        kind: What trials run as.
        version: Of the kind, served by the cluster.
        wanted: What the user asks for.
        job: A trial's job as it would be created.
        has_porter: Whether trials leave files on a volume that the manager does not have.
    """
    resource = api.Resource(group=kind.group, version=version, plural=kind.plural)
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("API server", lambda: _server(connection)),
        ("user", lambda: _user(connection)),
        ("namespace", lambda: _namespace(connection)),
        ("rights", lambda: _rights(connection, resource, kind, wanted)),
        ("job", lambda: _job(connection, resource, kind, job)),
        ("images", lambda: _images(wanted.roles)),
        ("GPUs", lambda: _gpus(connection, wanted.roles)),
        ("queue", lambda: _queue(connection, wanted.queue)),
    ]
    if has_porter:
        checks.append(("porter", lambda: _porter(connection)))
    return [await _guarded(connection, what, check) for what, check in checks]


async def _guarded(connection: client.Client, what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return await connection.insist(check)
    except api.Refusal as refusal:
        return warning(what, f"It cannot be known: {refusal.message}")
    except (errors.PlatformUnavailableError, errors.PlatformError) as error:
        return failed(what, str(error))


def _server(connection: client.Client) -> Finding:
    return ok("API server", f"{connection.server} answers, Kubernetes {connection.version()}.")


def _user(connection: client.Client) -> Finding:
    return ok("user", f"The server knows this kubeconfig as {connection.who()}.")


def _namespace(connection: client.Client) -> Finding:
    if connection.has_namespace():
        return ok("namespace", f"{connection.namespace} is there.")
    name = connection.namespace
    return failed(
        "namespace", f"There is no namespace {name}: make it with `kubectl create namespace {name}`, or set namespace."
    )


def _rights(
    connection: client.Client, resource: api.Resource, kind: kinds.JobKind, wanted: spec.KubeflowSpec
) -> Finding:
    needed = [
        *((verb, resource) for verb in ("create", "get", "list", "watch", "delete")),
        *((verb, api.PODS) for verb in ("list", "watch")),
        *((verb, _SECRETS) for verb in ("create", "patch", "delete")),
    ]
    if kind.stands_on is not None:
        needed += [(verb, _RUNTIMES) for verb in ("create", "delete")]
    useful = [("list", _EVENTS)]
    if wanted.queue is not None:
        useful.append(("list", inquiries.WORKLOADS))
    missing = [right for right in needed if not connection.may(*right)]
    where = f"in the namespace {connection.namespace}"
    if missing:
        return failed(
            "rights",
            f"Missing {where}: {_listed(missing)}; ask an administrator for them (deploy/role.yaml has them all).",
        )
    unseen = [right for right in useful if not connection.may(*right)]
    if unseen:
        return warning(
            "rights", f"Missing {where}: {_listed(unseen)}; without them some reasons why a trial waits stay unknown."
        )
    return ok("rights", f"All {len(needed) + len(useful)} that are needed {where}.")


def _porter(connection: client.Client) -> Finding:
    missing = [right for right in (("create", api.PODS), ("delete", api.PODS)) if not connection.may(*right)]
    if missing:
        return warning(
            "porter",
            f"Missing in the namespace {connection.namespace}: {_listed(missing)}; without them outputs and "
            "checkpoints that stay on the claim cannot be seen or deleted from here (deploy/role-pods.yaml has them).",
        )
    return ok("porter", "A pod may be made that fetches what stays on the claim when it is asked for.")


def _listed(rights: Sequence[tuple[str, api.Resource]]) -> str:
    return ", ".join(
        f"{verb} {resource.plural}" + (f".{resource.group}" if resource.group else "") for verb, resource in rights
    )


def _job(connection: client.Client, resource: api.Resource, kind: kinds.JobKind, job: api.Object) -> Finding:
    what = f"{kind.kind} {resource.group}/{resource.version}"
    try:
        connection.create(resource, job, is_dry=True)
    except api.Refusal as refusal:
        if kind.stands_on is not None and kind.stands_on()["metadata"]["name"] in refusal.message:
            # What jobs stand on is made with the first experiment, and a dry run makes nothing.
            return ok("job", f"The cluster serves {what}.")
        return failed("job", f"The cluster refuses a trial's {what}: {refusal.message}")
    return ok("job", f"The cluster takes a trial's {what}.")


def _images(roles: Sequence[spec.RoleSpec]) -> Finding:
    usual = [role.name for role in roles if role.image == service.DEFAULT_IMAGE]
    if usual:
        return warning(
            "images",
            f"docker_image of {', '.join(usual)} is not set, so NNI's own old {service.DEFAULT_IMAGE} is used; name an "
            "image with what your code imports.",
        )
    return ok("images", ", ".join(sorted({role.image for role in roles})))


def _gpus(connection: client.Client, roles: Sequence[spec.RoleSpec]) -> Finding:
    wanted = {role.gpu_resource: role.gpus for role in roles if role.gpus}
    if not wanted:
        return ok("GPUs", "None is asked for.")
    nodes = connection.nodes()
    for resource, count in wanted.items():
        most = max((_amount(node, resource) for node in nodes), default=0)
        if most < count:
            return failed(
                "GPUs",
                f"No node has {count} {resource} (the most is {most}): lower gpu_number, correct gpu_resource, or "
                "install the device plugin.",
            )
    return ok("GPUs", f"There are nodes with {', '.join(wanted)}.")


def _amount(node: api.Object, resource: str) -> int:
    text = (node.get("status", {}).get("allocatable") or {}).get(resource, "0")
    return int(text) if str(text).isdecimal() else 0


def _queue(connection: client.Client, queue: str | None) -> Finding:
    if queue is None:
        return ok("queue", "None is asked for.")
    try:
        connection.get(surroundings.LOCAL_QUEUES, queue)
    except api.Refusal as refusal:
        if refusal.code != 404:
            raise
        return failed("queue", f"There is no LocalQueue {connection.namespace}/{queue}: correct queue_name.")
    return ok("queue", f"The LocalQueue {connection.namespace}/{queue} is there.")
