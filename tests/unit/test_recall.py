"""What an assessor is given back after a restart."""

from nni.core import event, model, ports
from nni.manager import recall
from nni.testing import assessor, story


def tale() -> tuple[story.Story, list[ports.MetricRow]]:
    """One trial that ended well, one that failed, one that runs."""
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
    return told, rows


async def test_curves_of_trials_that_ended_well_are_put_to_the_new_assessor() -> None:
    told, rows = tale()
    fake = assessor.ThresholdAssessor()
    await fake.open()

    assert await recall.recall(fake, told.state, rows) == []

    assert fake.curves == {"aaaaa": ["0.1", "0.2"]}
    assert fake.ended == {"aaaaa": True}


async def test_an_assessor_that_is_begun_anew_says_what_it_thinks_of_the_trials_that_run() -> None:
    told, rows = tale()
    metric = model.Metric(number=3, at=1.0, type=model.MetricType.PERIODICAL, sequence=2, value="0.9")
    rows.append(ports.MetricRow(attempt=told.key("ccccc"), replica=story.CHIEF, metric=metric, received_at=1.0))
    fake = assessor.ThresholdAssessor()
    await fake.open()

    rejected = await recall.recall(fake, told.state, rows, with_running=True)

    assert rejected == [event.Rejected(attempt=told.key("ccccc"), results=3)]
    assert fake.ended == {"aaaaa": True}
