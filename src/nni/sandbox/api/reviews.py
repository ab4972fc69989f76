"""The reviews that clients ask for: may I, and who am I."""

from nni.sandbox import schema

USER = "sandbox-admin"
GROUPS = ["system:masters", "system:authenticated"]


def answer(steps: list[str], body: schema.Object) -> schema.Object | None:
    """Answer a review; None when the path (as steps between slashes) is not one. The one user may do everything."""
    match steps:
        case ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"]:
            return {
                "kind": "SelfSubjectAccessReview",
                "apiVersion": "authorization.k8s.io/v1",
                "metadata": {},
                "spec": body.get("spec", {}),
                "status": {"allowed": True, "reason": "the sandbox has one user, who may do everything"},
            }
        case ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"]:
            return {
                "kind": "SelfSubjectReview",
                "apiVersion": "authentication.k8s.io/v1",
                "metadata": {},
                "status": {"userInfo": {"username": USER, "groups": GROUPS}},
            }
        case _:
            return None
