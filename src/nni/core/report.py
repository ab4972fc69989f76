"""What a replica wrote or sent, as an event."""

from nni.core import event, model
from nni.wire import intake
from nni.wire import report as wire


def reported(
    attempt: model.AttemptKey, replica: model.Replica, batch: intake.Batch, *, by_volume: bool = False
) -> event.ReplicaReported:
    """Return the event that a batch stands for.

    Args:
        attempt: Whose attempt.
        replica: Who of it.
        batch: Metrics in order, and the end if it has come.
        by_volume: Whether it was read from the volume, not received by the intake.
    """
    return event.ReplicaReported(
        attempt=attempt,
        replica=replica,
        metrics=tuple(_metric(one) for one in batch.metrics),
        exit=None if batch.exit is None else _exit(batch.exit),
        by_volume=by_volume,
    )


def _metric(one: wire.Metric) -> model.Metric:
    return model.Metric(
        number=one.number, at=one.time, type=model.MetricType(one.type), sequence=one.sequence, value=one.value
    )


def _exit(ending: wire.ReplicaExit) -> model.ReplicaExit:
    return model.ReplicaExit(code=ending.code, metrics=ending.metrics, lines=ending.lines, stopped=ending.stopped)
