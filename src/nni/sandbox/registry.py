"""The verbs: create, replace, patch and delete, with the rules that a Kubernetes API applies before it stores."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from nni.sandbox import admission, deletions, kinds, manners, patches, schema, signing, status, store, times
from nni.sandbox import metadata as metadata_rules

Webhook = Callable[[schema.Object, schema.Object | None], None]
"""A validating webhook: gets the new and the old object, raises a refusal."""


Admission = Callable[[kinds.Kind, str, str], None]
"""Gets kind, namespace and name of an object that is to be made, and may raise a refusal."""
Manner = manners.Manner
Deletion = manners.Deletion
PLAIN = manners.PLAIN
DELETION = manners.DELETION


class Registry:
    """The verbs over one store. Everything here is synchronous, so each call is one transaction."""

    def __init__(
        self,
        objects: store.Store,
        types: schema.Types,
        now: times.Now,
        webhooks: Mapping[str, Webhook],
    ) -> None:
        """Take the webhooks by resource, as ``pytorchjobs.kubeflow.org``."""
        self.admissions: list[Admission] = []
        """Asked in turn before an object is made."""
        self.store = objects
        self.types = types
        self.now = now
        self._webhooks = webhooks
        self._namer = metadata_rules.Namer()
        self._signer = signing.Signer(types, now)

    def get(self, kind: kinds.Kind, namespace: str, name: str) -> schema.Object:
        """Return an object or raise the 404 refusal."""
        found = self.store.get(kind.resource, namespace, name)
        if found is None:
            raise kind.not_found(name)
        return found

    def find(self, kind: kinds.Kind, namespace: str, name: str) -> schema.Object | None:
        """Return an object, or None."""
        return self.store.get(kind.resource, namespace, name)

    def all(self, kind: kinds.Kind, namespace: str = "") -> list[schema.Object]:
        """List objects in the order of their keys."""
        return [found for _, found in self.store.scan(kind.resource, namespace)]

    def create(
        self, kind: kinds.Kind, namespace: str, body: schema.Object, manner: Manner = PLAIN
    ) -> schema.Object:  # fmt: skip
        """Store a new object and return it."""
        metadata = self._namer.complete(kind, namespace, body, self.now())
        new = {"apiVersion": kind.api_version, "kind": kind.kind, **body, "metadata": metadata}
        self._check_namespace(kind, namespace)
        new = admission.normalise(kind.kind, self._checked(kind, new, manner))
        if kind.has_status:
            new.pop("status", None)
        new = admission.prepare(kind.kind, new, self.now)
        self._check_rules(kind, new, None)
        new = self._signer.signed(kind, body if manner.is_apply else None, new, manner)
        if self.find(kind, namespace, metadata["name"]) is not None:
            raise status.already_exists(kind.group, kind.plural, metadata["name"])
        for admit in self.admissions:
            admit(kind, namespace, metadata["name"])
        if manner.is_dry:
            return new
        return self.store.put(kind.resource, (namespace, metadata["name"]), new)

    def replace(
        self, kind: kinds.Kind, namespace: str, name: str, body: schema.Object, manner: Manner = PLAIN
    ) -> schema.Object:
        """Put another state in place of an object's."""
        current = self.get(kind, namespace, name)
        given = metadata_rules.head(body)
        if not given.get("name"):
            raise status.bad_request("the name of the object must be provided")
        if given.get("uid", current["metadata"]["uid"]) != current["metadata"]["uid"]:
            raise kind.conflict(name, deletions.other_uid(given["uid"], current))
        return self._store_change(kind, current, body, manner)

    def apply(
        self, kind: kinds.Kind, namespace: str, name: str, config: schema.Object, manner: Manner
    ) -> schema.Object:
        """Apply a configuration on the server's side: what it sets is its manager's, what it no longer sets goes."""
        given = metadata_rules.head(config)
        if given.get("managedFields"):
            raise status.bad_request("metadata.managedFields must be nil")
        if given.get("name", name) != name:
            raise _other_name(given["name"], name)
        config = {**config, "metadata": {**given, "name": name}}
        self._check_types(kind, config)
        manner = dataclasses.replace(manner, is_apply=True)
        current = self.find(kind, namespace, name)
        if current is None and not manner.part:
            return self.create(kind, namespace, config, manner)
        current = self.get(kind, namespace, name)
        uid = given.get("uid", current["metadata"]["uid"])
        if uid != current["metadata"]["uid"]:
            raise kind.conflict(name, deletions.other_uid(uid, current))
        body = self._signer.applied(kind, current, admission.normalise(kind.kind, config), manner)
        return self._store_change(kind, current, body, manner)

    def patch(
        self, kind: kinds.Kind, namespace: str, name: str, patch: Any, media: str, *, manner: Manner = PLAIN
    ) -> schema.Object:  # fmt: skip
        """Apply a patch of the media type given."""
        current = self.get(kind, namespace, name)
        if media == patches.JSON:
            body = patches.json_patch(current, patch)
        elif not isinstance(patch, dict):
            raise status.bad_request("error decoding patch: it is not an object")
        elif media == patches.STRATEGIC and not kind.is_custom:
            body = patches.strategic(self.types, kind.kind, current, patch)
        elif media == patches.MERGE:
            body = patches.merge(current, patch)
        else:
            raise _unsupported(kind, media)
        uid = metadata_rules.head(body).get("uid")
        if uid != current["metadata"]["uid"]:
            finding = schema.Finding("metadata.uid", "FieldValueInvalid", f'Invalid value: "{uid}": field is immutable')
            raise kind.invalid(name, [finding])
        return self._store_change(kind, current, body, manner)

    def set_status(self, kind: kinds.Kind, found: schema.Object, state: schema.Object) -> schema.Object:
        """Write a status, for operators; nothing happens when it is the same or the object is gone."""
        metadata = found["metadata"]
        current = self.find(kind, metadata.get("namespace", ""), metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"]:
            return found
        if current.get("status") == state:
            return current
        return self.store.put(kind.resource, _key(current), {**current, "status": state})

    def bind(self, pod: schema.Object, node: str, state: schema.Object) -> None:
        """Give a pod to a node, as the scheduler does through the ``binding`` subresource."""
        bound = {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": state}
        self.store.put(kinds.POD.resource, _key(pod), bound)

    def delete(self, kind: kinds.Kind, namespace: str, name: str, how: Deletion = DELETION) -> schema.Object:
        """Delete an object, or begin to: the answer is a Status when it is gone, else the object as it stays."""
        current = self.get(kind, namespace, name)
        deletions.check(kind, current, how)
        finalizers = deletions.finalizers(current, how.policy or kind.deletion_policy)
        grace = deletions.grace(kind, current, how)
        if how.is_dry:
            return current
        if grace == 0 and not finalizers and kind.kind != "Namespace":
            last = self.store.remove(kind.resource, _key(current))
            return last if kind.kind in ("Pod", "Service") else deletions.gone(kind, current)
        marked = deletions.marked(kind, current, finalizers, grace, self.now())
        return current if marked == current else self.store.put(kind.resource, _key(current), marked)

    def finish(self, kind: kinds.Kind, found: schema.Object) -> None:
        """Remove an object for good once whatever held it back is done (a kubelet, a namespace's end)."""
        metadata = found["metadata"]
        current = self.find(kind, metadata.get("namespace", ""), metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"]:
            return
        if current["metadata"].get("finalizers"):
            if current["metadata"].get("deletionGracePeriodSeconds"):
                held = {**current["metadata"], "deletionGracePeriodSeconds": 0}
                self.store.put(kind.resource, _key(current), {**current, "metadata": held})
            return
        self.store.remove(kind.resource, _key(current))

    def set_finalizers(self, kind: kinds.Kind, found: schema.Object, finalizers: list[str]) -> None:
        """Write the finalizers of an object; one that waits for its last one goes."""
        metadata = metadata_rules.tidy({**found["metadata"], "finalizers": finalizers})
        self._put_or_finish(kind, {**found, "metadata": metadata})

    def set_owners(self, kind: kinds.Kind, found: schema.Object, owners: list[schema.Object]) -> None:
        """Write the owners of an object."""
        metadata = metadata_rules.tidy({**found["metadata"], "ownerReferences": owners})
        self.store.put(kind.resource, _key(found), {**found, "metadata": metadata})

    def _check_namespace(self, kind: kinds.Kind, namespace: str) -> None:
        if not kind.is_namespaced:
            return
        found = self.get(kinds.NAMESPACE, "", namespace)
        if found["status"]["phase"] == "Terminating":
            raise status.forbidden(
                f'{kind.resource} is forbidden: unable to create new content in namespace {namespace} '
                "because it is being terminated"
            )  # fmt: skip

    def _checked(self, kind: kinds.Kind, body: schema.Object, manner: Manner) -> schema.Object:
        pruned, report = kind.shape.check(body) if kind.shape else self.types.check(kind.kind, body)
        if manner.is_strict and report.unknown:
            listed = ", ".join(f'unknown field "{path}"' for path in report.unknown)
            title = kind.kind if kind.is_custom else body["kind"]
            raise status.bad_request(
                f'{title} in version "{kind.version}" cannot be handled as a {title}: strict decoding error: {listed}'
            )
        if manner.warnings is not None:
            manner.warnings.extend(f'unknown field "{path}"' for path in report.unknown)
        mistyped = [item for item in report.findings if item.reason == "FieldValueTypeInvalid"]
        if mistyped and not kind.is_custom:
            raise status.bad_request(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
                f"json: {mistyped[0].path}: {mistyped[0].message}"
            )
        if report.findings:
            raise kind.invalid(body["metadata"].get("name", ""), report.findings)
        return pruned

    def _check_types(self, kind: kinds.Kind, config: schema.Object) -> None:
        """Refuse a part of an object that has values of the wrong types; what is missing is somebody else's."""
        _, report = kind.shape.check(config) if kind.shape else self.types.check(kind.kind, config)
        for item in report.findings:
            if item.reason == "FieldValueTypeInvalid":
                raise status.bad_request(f"failed to create typed patch object: .{item.path}: {item.message}")

    def _check_rules(self, kind: kinds.Kind, new: schema.Object, previous: schema.Object | None) -> None:
        found = admission.findings(kind.kind, new, previous)
        found += metadata_rules.label_findings(new["metadata"]) + metadata_rules.annotation_findings(new["metadata"])
        if kind.shape is not None and previous is not None:
            found += kind.shape.changes(new, previous)
        if found:
            raise kind.invalid(new["metadata"]["name"], found)
        webhook = self._webhooks.get(kind.resource)
        if webhook:
            webhook(new, previous)

    def _store_change(
        self, kind: kinds.Kind, current: schema.Object, body: schema.Object, manner: Manner
    ) -> schema.Object:  # fmt: skip
        name, given = current["metadata"]["name"], metadata_rules.head(body)
        if given.get("name", name) != name:
            raise _other_name(given["name"], name)
        namespace = current["metadata"].get("namespace", "")
        if given.get("namespace", namespace) != namespace:
            raise metadata_rules.other_namespace()
        if given.get("resourceVersion") not in (None, "", current["metadata"]["resourceVersion"]):
            raise kind.conflict(
                name, "the object has been modified; please apply your changes to the latest version and try again"
            )
        whole = {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": given}
        new = self._checked(kind, whole, manner)
        if manner.part == "status":
            owners = {"managedFields": body["metadata"]["managedFields"]} if manner.is_apply else {}
            new = {**current, "status": new.get("status", {}), "metadata": {**current["metadata"], **owners}}
        else:
            new = admission.refill(kind.kind, admission.normalise(kind.kind, new), self.now)
            new = self._merged(kind, current, new)
            self._check_rules(kind, new, current)
        new = self._signer.signed(kind, current, new, manner)
        if manner.is_dry or new == current:
            return new
        return self._put_or_finish(kind, new)

    def _merged(self, kind: kinds.Kind, current: schema.Object, new: schema.Object) -> schema.Object:
        old = current["metadata"]
        metadata = metadata_rules.carry_over(old, new["metadata"])
        merged = {**new, "metadata": metadata}
        if kind.has_status:
            merged.pop("status", None)
            if "status" in current:
                merged["status"] = current["status"]
        if kind.has_generation and _desired(merged) != _desired(current):
            metadata["generation"] = old.get("generation", 1) + 1
        return merged

    def _put_or_finish(self, kind: kinds.Kind, new: schema.Object) -> schema.Object:
        metadata = new["metadata"]
        is_held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds") or kind.kind == "Namespace"
        if metadata.get("deletionTimestamp") and not is_held:
            return self.store.remove(kind.resource, _key(new))
        return self.store.put(kind.resource, _key(new), new)


def _key(found: schema.Object) -> store.Key:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


def _desired(found: schema.Object) -> schema.Object:
    return {key: value for key, value in found.items() if key not in ("metadata", "status")}


def _other_name(given: str, name: str) -> status.Refusal:
    return status.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")


def _unsupported(kind: kinds.Kind, media: str) -> status.Refusal:
    accepted = [patches.JSON, patches.MERGE] + ([] if kind.is_custom else [patches.STRATEGIC])
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return status.Refusal(415, "UnsupportedMediaType", f"{message} (got {media})")
