"""The faults that a sandbox can be told to have, for tests of what must survive them.

Each is a class whose fields are its parameters::

    with sandbox.faults(faults.TooManyRequests(resources=["pytorchjobs.kubeflow.org"], verbs=["create"], count=3)):
        ...
"""

from nni.sandbox.faults.catalogue import (
    ApiLatency,
    ConnectionReset,
    DroppedWatch,
    Eviction,
    ExpiredCredentials,
    ExpiredWatch,
    Fault,
    HalfOpen,
    ImagePullFailure,
    MissingSecret,
    MountFailure,
    NamespaceDeleted,
    NodeLoss,
    OperatorDown,
    OutOfMemory,
    PodFault,
    Preemption,
    QuotaExceeded,
    RequestFault,
    ServerError,
    SilentWatch,
    SlowStart,
    TooManyRequests,
    Unschedulable,
)

__all__ = [
    "ApiLatency", "ConnectionReset", "DroppedWatch", "Eviction", "ExpiredCredentials", "ExpiredWatch", "Fault",
    "HalfOpen", "ImagePullFailure", "MissingSecret", "MountFailure", "NamespaceDeleted", "NodeLoss", "OperatorDown",
    "OutOfMemory", "PodFault", "Preemption", "QuotaExceeded", "RequestFault", "ServerError", "SilentWatch", "SlowStart",
    "TooManyRequests", "Unschedulable",
]  # fmt: skip
