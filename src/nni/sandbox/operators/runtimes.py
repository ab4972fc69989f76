"""The controller of (Cluster)TrainingRuntimes: one that TrainJobs use stays until the last of them is gone."""

import collections
from collections.abc import Sequence

from nni.sandbox import kinds, registry, schema
from nni.sandbox.operators import control, trainjob_jobset

_IN_USE = "trainer.kubeflow.org/resource-in-use"
TORCH: schema.Object = {
    "metadata": {"name": "torch-distributed", "labels": {"trainer.kubeflow.org/framework": "torch"}},
    "spec": {
        "mlPolicy": {"numNodes": 1, "torch": {}},
        "template": {
            "spec": {
                "replicatedJobs": [
                    {
                        "name": "node",
                        "template": {
                            "metadata": {"labels": {trainjob_jobset.STEP: "trainer"}},
                            "spec": {
                                "template": {
                                    "spec": {"containers": [{"name": "node", "image": "pytorch/pytorch"}]},
                                },
                            },
                        },
                    },
                ],
            },
        },
    },
}
"""The runtime for PyTorch as Trainer ships it: it says nothing of restarts, so a pod that fails is started again."""


class Runtimes:
    """Holds runtimes of one kind by a finalizer for as long as TrainJobs refer to them."""

    def __init__(self, objects: registry.Registry, kind: kinds.Kind, shipped: Sequence[schema.Object] = ()) -> None:
        """Take the runtimes of this kind that come with the operator."""
        self._objects = objects
        self._kind = kind
        self._shipped = shipped
        self._users: collections.defaultdict[control.Name, dict[control.Name, None]] = collections.defaultdict(dict)

    async def run(self) -> None:
        """Work until the store is closed."""
        for each in self._shipped:
            if self._objects.find(self._kind, "", each["metadata"]["name"]) is None:
                self._objects.create(self._kind, "", each)
        sources = [(self._kind, control.own_name), (kinds.TRAIN_JOB, self._runtime_of)]
        await control.run(self._objects.store, sources, self._look)

    def _runtime_of(self, job: schema.Object) -> Sequence[control.Name]:
        metadata, reference = job["metadata"], job["spec"]["runtimeRef"]
        if reference["kind"] != self._kind.kind:
            return []
        runtime = (metadata["namespace"] if self._kind.is_namespaced else "", reference["name"])
        self._users[runtime][metadata["namespace"], metadata["name"]] = None
        return [runtime]

    def _look(self, namespace: str, name: str) -> None:
        runtime, is_used = self._objects.find(self._kind, namespace, name), self._is_used((namespace, name))
        if runtime is None:
            return
        finalizers = runtime["metadata"].get("finalizers", [])
        is_going = bool(runtime["metadata"].get("deletionTimestamp"))
        if is_used and not is_going and _IN_USE not in finalizers:
            self._objects.set_finalizers(self._kind, runtime, [*finalizers, _IN_USE])
        elif is_going and not is_used and _IN_USE in finalizers:
            rest = [each for each in finalizers if each != _IN_USE]
            self._objects.set_finalizers(self._kind, runtime, rest)

    def _is_used(self, runtime: control.Name) -> bool:
        users = self._users.get(runtime, {})
        while users:
            user = next(iter(users))
            if self._objects.find(kinds.TRAIN_JOB, *user):
                return True
            del users[user]
        self._users.pop(runtime, None)
        return False
