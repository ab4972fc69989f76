"""What is wrong with a job's pods: the Training Operator tells it as events of the job."""

from collections.abc import Iterator, Sequence

from nni.sandbox import schema


def findings(pods: Sequence[schema.Object]) -> Iterator[tuple[str, str]]:
    """Yield the reason and the message for each container that waits or has failed in a pod that lives."""
    for pod in pods:
        if not is_active(pod):
            continue
        name, state = pod["metadata"]["name"], pod["status"]
        containers = state.get("containerStatuses") or state.get("initContainerStatuses") or []
        for container in containers:
            yield from _of_container(name, container)
        if not containers and state.get("conditions"):
            yield from _of_conditions(name, state["conditions"])


def is_active(pod: schema.Object) -> bool:
    """Say whether a pod is neither over nor on its way out."""
    is_over = pod["status"].get("phase") in ("Succeeded", "Failed")
    return not is_over and not pod["metadata"].get("deletionTimestamp")


def _of_container(pod: str, container: schema.Object) -> Iterator[tuple[str, str]]:
    ended, waiting = container["state"].get("terminated"), container["state"].get("waiting")
    start = f"Error pod {pod} container {container['name']}"
    if ended and ended["exitCode"]:
        message = f"{start} exitCode: {ended['exitCode']} terminated message: {ended.get('message', '')}"
        yield ended.get("reason", "Error"), message
    if waiting and waiting.get("message"):
        yield waiting["reason"], f"{start} waiting message: {waiting['message']}"


def _of_conditions(pod: str, conditions: Sequence[schema.Object]) -> Iterator[tuple[str, str]]:
    latest = max(conditions, key=lambda each: str(each.get("lastTransitionTime", "")))
    if latest["status"] != "True":
        yield latest.get("reason", ""), f"Error pod {pod} condition message: {latest.get('message', '')}"
