"""The faults that the sandbox knows: each a class whose fields are its parameters.

The class's name is the fault's ``kind`` in files and in the control API, where fields are written in camel case
(``retry_after`` is ``retryAfter``). Names and namespaces are patterns (``*`` and ``?``), labels are a selector.
"""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """What all have."""

    count: int | None = None
    """How often it strikes (how many pods it befalls, for those that last); None is without end."""
    duration: float | None = None
    """Seconds after which it ends by itself; None is until it is taken back."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestFault(Fault):
    """What befalls requests."""

    verbs: Sequence[str] = ()
    """``get``, ``list``, ``watch``, ``create``, ``update``, ``patch``, ``delete``, ``deletecollection``; or any."""
    methods: Sequence[str] = ()
    """``GET``, ``POST`` ...; none is any."""
    resources: Sequence[str] = ()
    """``pods``, ``pytorchjobs.kubeflow.org`` ...; none is any."""
    path: str = "*"
    namespace: str = "*"
    name: str = "*"
    labels: str = ""
    """A selector for the object that the request is about; a request about a collection has no labels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApiLatency(RequestFault):
    """Answers come late."""

    latency: float = 1.0
    """Seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TooManyRequests(RequestFault):
    """Requests are answered with 429."""

    retry_after: int = 1
    """Seconds, told in the header ``Retry-After``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerError(RequestFault):
    """Requests are answered with an error of the server."""

    code: int = 500
    """500, 502, 503 or 504."""
    message: str = ""
    is_done: bool = False
    """Whether the request is carried out before it is answered so."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConnectionReset(RequestFault):
    """The connection is reset in place of an answer."""

    is_done: bool = False
    """Whether the request is carried out before."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HalfOpen(RequestFault):
    """Requests are taken and never answered, not even after the fault has ended."""

    is_done: bool = False
    """Whether the request is carried out before the silence."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SilentWatch(RequestFault):
    """Watches, open ones too, say nothing more and do not end: what a lost NAT entry does to them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DroppedWatch(RequestFault):
    """Watches, open ones too, are ended by the server."""

    after: float = 0.0
    """Seconds from a watch's beginning."""
    is_reset: bool = False
    """By a reset of the connection, not by an orderly end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpiredWatch(RequestFault):
    """The history is compacted: watches, open ones too, end with an ERROR event of code 410; page tokens expire."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpiredCredentials(Fault):
    """The tokens that were valid when it began are answered with 401."""

    is_rotated: bool = False
    """Whether the kubeconfig is written anew, with a token that is valid now and stays so."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuotaExceeded(Fault):
    """New objects are refused with 403 as by a ResourceQuota, those of operators too."""

    resources: Sequence[str] = ("pods",)
    namespace: str = "*"
    quota: str = "compute-quota"
    """The name in the message."""
    hard: int = 0
    """How many objects a namespace may have before they are refused; finished pods do not count."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamespaceDeleted(Fault):
    """A namespace is deleted, with all that is in it."""

    namespace: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperatorDown(Fault):
    """An operator does not run; when the fault ends it starts anew and looks at everything."""

    operator: str
    """One of those that the sandbox lists, as ``training-operator``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeLoss(Fault):
    """Nodes lose power: their processes end unheard, and nothing is told of their pods until they come back."""

    node: str = "*"
    toleration: float = 300.0
    """Seconds after which the lost pods are deleted, and stay Terminating: those of the unreachable taint."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PodFault(Fault):
    """What befalls pods."""

    namespace: str = "*"
    name: str = "*"
    labels: str = ""
    node: str = "*"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unschedulable(PodFault):
    """No node takes the pod."""

    message: str = "Insufficient nvidia.com/gpu"
    """Why each node does not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlowStart(PodFault):
    """A pod's containers take their time to start."""

    delay: float = 5.0
    """Seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImagePullFailure(PodFault):
    """Images cannot be pulled: ErrImagePull, then ImagePullBackOff."""

    image: str = "*"
    message: str = ""
    """None gives the one that containerd has for an image that does not exist."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MountFailure(PodFault):
    """Volumes cannot be mounted: FailedMount events, and no container starts."""

    volume: str = "*"
    message: str = "mount.nfs: Connection timed out"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MissingSecret(PodFault):
    """The node does not find secrets that pods name, whether they exist or not."""

    secret: str = "*"  # noqa: S105 - a pattern for names


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutOfMemory(PodFault):
    """Containers of running pods are killed for their memory: OOMKilled, exit code 137."""

    container: str = "*"
    after: float = 0.0
    """Seconds from the moment at which the pod is seen running; so for those below."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Eviction(PodFault):
    """Running pods are evicted by their node, which is short of memory; or through the API, as in a drain."""

    after: float = 0.0
    is_drain: bool = False
    message: str = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52640Ki. "


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preemption(PodFault):
    """Running pods make way for one of a higher priority."""

    after: float = 0.0


KINDS: tuple[type[Fault], ...] = (
    ApiLatency, TooManyRequests, ServerError, ConnectionReset, HalfOpen,
    SilentWatch, DroppedWatch, ExpiredWatch, ExpiredCredentials,
    QuotaExceeded, NamespaceDeleted, OperatorDown, NodeLoss,
    Unschedulable, SlowStart, ImagePullFailure, MountFailure, MissingSecret,
    OutOfMemory, Eviction, Preemption,
)  # fmt: skip
