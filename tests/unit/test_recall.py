"""What an assessor is given back after a restart."""

from nni.core import event, model, ports
from nni.manager import recall
from nni.testing import assessor, story


async def test_curves_of_trials_that_ended_well_are_put_to_the_new_assessor() -> None:
    told = story.Story()
    told.proposes("aaaaa", "bbbbb", "ccccc")
    told.creates("aaaaa", "bbbbb", "ccccc")
    rows = []
    for trial in ("aaaaa", "bbbbb", "ccccc"):
        key = told.key(trial)
        for step, who in ((0, story.CHIEF), (1, story.CHIEF), (0, model.Replica("worker"))):
            metric = model.Metric(
                number=step + 1, at=1.0, type=model.MetricType.PERIODICAL, sequence=step, value=f"0.{step + 1}"
            )
            rows.append(ports.MetricRow(attempt=key, replica=who, metric=metric, received_at=1.0))
    for trial, phase in (("aaaaa", model.JobPhase.SUCCEEDED), ("bbbbb", model.JobPhase.FAILED)):
        told.happens(
            event.JobObserved(attempt=told.key(trial), observation=model.Observation(phase=phase)),
            event.Harvested(attempt=told.key(trial)),
        )
    fake = assessor.ThresholdAssessor()
    await fake.open()

    await recall.recall(fake, told.state, rows)

    assert fake.curves == {"aaaaa": ["0.1", "0.2"]}
    assert fake.ended == {"aaaaa": True}
