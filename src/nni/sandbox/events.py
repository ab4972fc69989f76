"""Events: what happened to which object, counted when it happens again."""

from nni.sandbox import kinds, registry, schema, status, times


class Recorder:
    """Writes the events of one component."""

    def __init__(self, objects: registry.Registry, component: str) -> None:
        self._objects = objects
        self._component = component
        self._last = 0
        self._known: dict[tuple[str, str, str], str] = {}

    def _suffix(self) -> str:
        """Make the end of a name: names in order are events in order."""
        moment = int(self._objects.now().timestamp() * 1_000_000)
        self._last = max(self._last + 1, moment)
        return f"{self._last:016x}"

    def record(self, about: schema.Object, category: str, reason: str, message: str, path: str = "") -> None:
        """Tell that something happened. ``category`` is ``Normal`` or ``Warning``; ``path`` a part of the object."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        identity = (metadata["uid"], reason, message)
        moment = times.stamp(self._objects.now())
        known = self._known.get(identity)
        event = self._objects.find(kinds.EVENT, namespace, known) if known else None
        if event is not None:
            again = {**event, "count": event["count"] + 1, "lastTimestamp": moment}
            self._objects.replace(kinds.EVENT, namespace, event["metadata"]["name"], again)
            return
        name = f"{metadata['name'][:200]}.{self._suffix()}"
        involved = {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        }
        if "namespace" in metadata:
            involved["namespace"] = namespace
        if path:
            involved["fieldPath"] = path
        try:
            self._objects.create(
                kinds.EVENT,
                namespace,
                {
                    "metadata": {"name": name},
                    "involvedObject": involved,
                    "type": category,
                    "reason": reason,
                    "message": message,
                    "source": {"component": self._component},
                    "reportingComponent": self._component,
                    "firstTimestamp": moment,
                    "lastTimestamp": moment,
                    "count": 1,
                },
            )
        except status.Refusal:
            return  # its namespace is on its way out, and nobody can be told any more
        self._known[identity] = name
