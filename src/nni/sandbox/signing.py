"""Signing writes: who owns which fields of the objects of a kind from then on."""

from nni.sandbox import admission, fields, kinds, manners, ownership, schema, times
from nni.sandbox import metadata as metadata_rules


class Signer:
    """Keeps ``managedFields``."""

    def __init__(self, types: schema.Types, now: times.Now) -> None:
        self._types = types
        self._now = now
        self._places: dict[str, fields.Place] = {}

    def applied(
        self, kind: kinds.Kind, current: schema.Object, config: schema.Object, manner: manners.Manner
    ) -> schema.Object:
        """Return what an object becomes when a configuration is applied to it. Raises the 409 refusal."""
        try:
            body, owners = ownership.applied(self._place(kind), current, config, self._writer(kind, manner))
        except ownership.Conflict as conflict:
            raise conflict.refusal(kind.conflict(current["metadata"]["name"], "").details) from conflict
        return {**body, "metadata": {**body["metadata"], "managedFields": owners}}

    def signed(
        self, kind: kinds.Kind, before: schema.Object | None, new: schema.Object, manner: manners.Manner
    ) -> schema.Object:
        """Write down who owns what of a new state.

        ``before`` is the state until now, or, for an object that an apply makes, what was applied.
        """
        if not manner.manager:
            return new
        if manner.is_apply and "resourceVersion" in new["metadata"]:
            owners = ownership.trimmed(self._place(kind), new, self._writer(kind, manner))
            return {**new, "metadata": metadata_rules.tidy({**new["metadata"], "managedFields": owners})}
        known = [entry for entry in new["metadata"].get("managedFields", []) if entry]
        unsigned = {name: value for name, value in new["metadata"].items() if name != "managedFields"}
        same = {**new, "metadata": metadata_rules.tidy({**unsigned, "managedFields": known})}
        if before is not None and same == before:
            return before
        place, writer = self._place(kind), self._writer(kind, manner)
        if manner.is_apply and before is not None:
            owners = ownership.created(place, admission.normalise(kind.kind, before), new, writer)
        else:
            owners = ownership.updated(place, before, new, known, writer)
        return {**new, "metadata": metadata_rules.tidy({**unsigned, "managedFields": owners})}

    def _place(self, kind: kinds.Kind) -> fields.Place:
        if kind.shape is not None:
            return fields.StructuredPlace(kind.shape.root, self._types, is_root=True)
        if kind.kind not in self._places:
            self._places[kind.kind] = fields.TypedPlace(self._types, kind.kind)
        return self._places[kind.kind]

    def _writer(self, kind: kinds.Kind, manner: manners.Manner) -> ownership.Writer:
        return ownership.Writer(
            manner.manager,
            kind.api_version,
            times.stamp(self._now()),
            manner.part,
            "Apply" if manner.is_apply else "Update",
            manner.is_forced,
        )
