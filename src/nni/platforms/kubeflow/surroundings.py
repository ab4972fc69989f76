"""What is around our jobs on a cluster, as far as this user may see it: nodes, the namespace's quotas, Kueue's queue.

Each question may be refused: then it is said what cannot be seen, and the rest is there.
"""

from collections.abc import Callable, Sequence

from nni.core import surroundings as around
from nni.platforms.kubeflow import api, client, inquiries

LOCAL_QUEUES = api.Resource(group="kueue.x-k8s.io", version="v1beta1", plural="localqueues")
CLUSTER_QUEUES = api.Resource(group="kueue.x-k8s.io", version="v1beta1", plural="clusterqueues", is_namespaced=False)
PAGES = 10
"""Of a list, at the most: the places of workloads beyond are not told."""


def look(connection: client.Client, queue: str | None) -> around.Surroundings:
    """Return what is around jobs of a namespace; in a thread.

    Args:
        connection: The namespace.
        queue: The LocalQueue that jobs are sent to.

    Raises:
        PlatformUnavailableError: The server does not answer.
    """
    unseen: list[str] = []

    def seen(what: str, right: str, call: Callable[[], Sequence[api.Object]]) -> Sequence[api.Object]:
        try:
            return call()
        except api.Refusal as refusal:
            if refusal.code != 404:
                unseen.append(f"{what} cannot be seen: this user may not {right}.")
            return ()

    nodes = seen("Nodes", "list nodes", connection.nodes)
    quotas = seen("Quotas", "list resourcequotas", lambda: _all(connection, api.QUOTAS))
    local = seen("The queue", "get localqueues", lambda: [connection.get(LOCAL_QUEUES, queue)] if queue else ())
    workloads: Sequence[api.Object] = ()
    shared: Sequence[api.Object] = ()
    if local:
        name = (local[0].get("spec") or {}).get("clusterQueue") or ""
        workloads = seen("Places in the queue", "list workloads", lambda: _all(connection, inquiries.WORKLOADS))
        shared = seen(
            "The queue's quota", "get clusterqueues", lambda: [connection.get(CLUSTER_QUEUES, name)] if name else ()
        )
    return around.Surroundings(
        nodes=tuple(node(one) for one in nodes),
        quotas=tuple(quota(one) for one in quotas),
        queue=queue_of(local[0], shared[0] if shared else {}, workloads) if local else None,
        unseen=tuple(unseen),
    )


def _all(connection: client.Client, resource: api.Resource) -> Sequence[api.Object]:
    """Return what there is of a kind in the namespace, up to a bound."""
    found: list[api.Object] = []
    rest: str | None = None
    for _ in range(PAGES):
        page = connection.page(resource, "", rest)
        found += page.items
        rest = page.rest
        if rest is None:
            break
    return found


def node(found: api.Object) -> around.Node:
    """Return a node as it is shown."""
    status = found.get("status") or {}
    return around.Node(
        name=found["metadata"]["name"],
        is_ready=_is_true(found, "Ready"),
        takes_pods=not (found.get("spec") or {}).get("unschedulable"),
        capacity={name: str(amount) for name, amount in (status.get("allocatable") or {}).items()},
    )


def quota(found: api.Object) -> around.Quota:
    """Return a ResourceQuota as it is shown; its bounds are in its specification until they are in force."""
    status, spec = found.get("status") or {}, found.get("spec") or {}
    used = status.get("used") or {}
    most = status.get("hard") or spec.get("hard") or {}
    amounts = (around.Amount(resource=name, used=str(used.get(name, 0)), most=str(most[name])) for name in sorted(most))
    return around.Quota(name=found["metadata"]["name"], amounts=tuple(amounts))


def queue_of(local: api.Object, shared: api.Object, workloads: Sequence[api.Object]) -> around.Queue:
    """Return a queue of Kueue as it is shown.

    Args:
        local: The LocalQueue.
        shared: Its ClusterQueue; empty when that may not be read.
        workloads: Of the namespace.
    """
    name, status = local["metadata"]["name"], local.get("status") or {}
    waiting = [one for one in workloads if (one.get("spec") or {}).get("queueName") == name and _waits(one)]
    # The order in which Kueue takes them: by priority, then by age.
    waiting.sort(key=lambda one: (-int(one["spec"].get("priority") or 0), one["metadata"].get("creationTimestamp", "")))
    places = {job: place for place, one in enumerate(waiting, start=1) for job in _jobs(one)}
    return around.Queue(
        name=name,
        cluster_queue=(local.get("spec") or {}).get("clusterQueue") or "",
        admitted=int(status.get("admittedWorkloads") or 0),
        waiting=int(status.get("pendingWorkloads") or len(waiting)),
        amounts=_bounded(shared) or _taken(status),
        places=places,
    )


def _waits(workload: api.Object) -> bool:
    return not (_is_true(workload, "QuotaReserved") or _is_true(workload, "Finished"))


def _jobs(workload: api.Object) -> list[str]:
    return [owner["name"] for owner in workload["metadata"].get("ownerReferences") or () if owner.get("controller")]


def _taken(status: api.Object) -> tuple[around.Amount, ...]:
    """Return what a queue has taken, added up over its flavors."""
    return tuple(
        around.Amount(resource=f"{flavor['name']}: {one['name']}", used=str(one.get("total", 0)))
        for flavor in status.get("flavorsReservation") or ()
        for one in flavor.get("resources") or ()
    )


def _bounded(shared: api.Object) -> tuple[around.Amount, ...]:
    """Return what is taken of a ClusterQueue's quota, by flavor."""
    used = {amount.resource: amount.used for amount in _taken(shared.get("status") or {})}
    return tuple(
        around.Amount(resource=name, used=used.get(name, "0"), most=str(one.get("nominalQuota", "")))
        for group in (shared.get("spec") or {}).get("resourceGroups") or ()
        for flavor in group.get("flavors") or ()
        for one in flavor.get("resources") or ()
        for name in [f"{flavor['name']}: {one['name']}"]
    )


def _is_true(found: api.Object, name: str) -> bool:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == name and one.get("status") == "True" for one in conditions)
