"""Stories of fold and plan: what happens, what is due, what users see."""

import dataclasses
import typing
from collections.abc import Sequence

import pytest

from nni.core import event, model, spec
from nni.core import fold as folding
from nni.core.plan import plan
from nni.core.state import State
from nni.core.trial import Step, Trial, scalar

MASTER = model.Replica("master")
WORKER = model.Replica("worker")


def make_spec(**changes: typing.Any) -> spec.ExperimentSpec:
    roles = tuple(
        spec.RoleSpec(name=name, replicas=1, command="true", code_directory="/code") for name in ("master", "worker")
    )
    nfs = spec.NfsSpec(server="10.20.30.40", path="/mnt/nfs/nni")
    values: dict[str, typing.Any] = {
        "name": None,
        "search_space": {},
        "tuner": spec.AlgorithmSpec(name="Random", class_args={"optimize_mode": "maximize"}),
        "platform": spec.KubeflowSpec(
            operator="pytorch-operator", api_version="v1", namespace="default", roles=roles, storage=nfs
        ),
        "trial_concurrency": 2,
        "max_trial_number": 3,
        "working_directory": "/experiments",
    }
    return spec.ExperimentSpec(**{**values, **changes})


class Story:
    """Plays an experiment by hand; time stands still unless ``at`` moves."""

    def __init__(self, **changes: typing.Any) -> None:
        self.state = State.new(experiment_id=model.ExperimentId("exp"), spec=make_spec(**changes))
        self.at = 1000.0
        self.history: list[tuple[float, event.Event]] = []

    def happens(self, *events: event.Event) -> Sequence[event.Action]:
        """Fold events, then plan, then begin what is planned, as the loop does."""
        for happened in events:
            self._fold(happened)
        actions = plan(self.state)
        for action in actions:
            self._fold(event.Began(action=action))
        assert [a for a in plan(self.state) if not isinstance(a, event.Remove)] == []
        return actions

    def _fold(self, happened: event.Event) -> None:
        self.history.append((self.at, happened))
        folding.fold(self.state, happened, self.at)

    def starts(self) -> Sequence[event.Action]:
        return self.happens(event.Started())

    def proposes(self, *ids: str, asked: int | None = None) -> Sequence[event.Action]:
        first = len(self.state.trials)
        proposals = tuple(
            event.Proposal(trial=model.TrialId(one), parameter_id=first + i, parameters={"x": i})
            for i, one in enumerate(ids)
        )
        return self.happens(event.Proposed(asked=len(ids) if asked is None else asked, proposals=proposals))

    def creates(self, *ids: str) -> Sequence[event.Action]:
        return self.happens(*(event.JobCreated(attempt=key(i), job=f"job-{i}", location="nfs://v") for i in ids))

    def observes(self, trial: str, phase: model.JobPhase, **fields: typing.Any) -> Sequence[event.Action]:
        return self.happens(event.JobObserved(attempt=key(trial), observation=model.Observation(phase=phase, **fields)))

    def reports(
        self, trial: str, *metrics: model.Metric, ends: int | None = None, who: model.Replica = MASTER
    ) -> Sequence[event.Action]:
        ending = None if ends is None else model.ReplicaExit(code=ends, metrics=len(metrics), lines=("boom",))
        return self.happens(event.ReplicaReported(attempt=key(trial), replica=who, metrics=metrics, exit=ending))

    def running(self, *ids: str) -> "Story":
        self.starts()
        self.proposes(*ids)
        self.creates(*ids)
        for one in ids:
            self.observes(one, model.JobPhase.RUNNING, started_at=self.at)
        return self

    def status(self) -> model.ExperimentStatus:
        return self.state.status

    def trial(self, trial: str) -> Trial:
        return self.state.trials[model.TrialId(trial)]


def key(trial: str, number: int = 1) -> model.AttemptKey:
    return model.AttemptKey(model.TrialId(trial), number)


def final(value: str, number: int = 1) -> model.Metric:
    return model.Metric(number=number, at=1.0, type=model.MetricType.FINAL, sequence=0, value=value)


def step(value: str, number: int) -> model.Metric:
    return model.Metric(number=number, at=1.0, type=model.MetricType.PERIODICAL, sequence=number - 1, value=value)


def kinds(actions: Sequence[event.Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def test_asks_for_as_many_as_may_run_at_once() -> None:
    story = Story()

    assert story.starts() == (event.Ask(parameter_ids=(0, 1)),)


def test_submits_what_was_proposed_each_with_a_slot_of_its_own() -> None:
    story = Story()
    story.starts()

    actions = story.proposes("aaaaa", "bbbbb")

    orders = [action.order for action in actions if isinstance(action, event.Submit)]
    assert [(order.attempt.trial, order.slot, order.sequence) for order in orders] == [("aaaaa", 0, 0), ("bbbbb", 1, 1)]


def test_an_ended_trial_is_told_and_its_place_filled_in_one_step() -> None:
    story = Story().running("aaaaa", "bbbbb")
    story.reports("aaaaa", final("0.5"), ends=0)

    actions = story.observes("aaaaa", model.JobPhase.SUCCEEDED, ended_at=1001.0)

    outcome = model.Outcome(parameter_id=0, parameters={"x": 0}, value=0.5, metric="0.5", succeeded=True)
    assert actions == (event.Tell(outcomes={model.TrialId("aaaaa"): outcome}), event.Ask(parameter_ids=(2,)))
    assert story.trial("aaaaa").status is model.TrialStatus.SUCCEEDED
    assert story.trial("aaaaa").ended_at == 1001.0
    assert story.state.best == "aaaaa"


def test_an_end_without_the_chiefs_last_word_is_harvested_first() -> None:
    story = Story().running("aaaaa")
    story.reports("aaaaa", step("0.1", 1))

    assert kinds(story.observes("aaaaa", model.JobPhase.SUCCEEDED)) == ["Harvest"]
    assert story.trial("aaaaa").status is model.TrialStatus.RUNNING
    assert "Tell" in kinds(story.reports("aaaaa", step("0.1", 1), final("0.9", 2), ends=0))
    assert story.trial("aaaaa").final_value == 0.9
    assert story.happens(event.Harvested(attempt=key("aaaaa"))) == ()


def test_a_harvest_that_finds_nothing_ends_the_trial_all_the_same() -> None:
    story = Story().running("aaaaa")
    story.observes("aaaaa", model.JobPhase.FAILED)

    story.happens(event.Harvested(attempt=key("aaaaa")))

    assert story.trial("aaaaa").status is model.TrialStatus.FAILED


def test_a_repeated_metric_counts_once() -> None:
    story = Story().running("aaaaa")

    for _ in range(2):
        story.reports("aaaaa", step("0.1", 1), step("0.2", 2))

    assert (story.trial("aaaaa").intermediate_count, story.trial("aaaaa").last_value) == (2, 0.2)


def test_a_workers_metrics_are_kept_but_do_not_count() -> None:
    story = Story().running("aaaaa")

    story.reports("aaaaa", step("0.1", 1), final("9", 2), who=WORKER)

    trial = story.trial("aaaaa")
    assert (trial.intermediate_count, trial.final) == (0, None)
    assert trial.replicas[WORKER].received == 2


def test_a_failed_trial_says_why_and_does_not_stop_the_experiment() -> None:
    story = Story().running("aaaaa", "bbbbb")
    story.reports("aaaaa", ends=3)

    actions = story.observes("aaaaa", model.JobPhase.FAILED)

    trial = story.trial("aaaaa")
    assert (trial.status, trial.exit_code, trial.last_lines) == (model.TrialStatus.FAILED, 3, ("boom",))
    assert trial.reason is not None
    assert trial.reason.sentence == "The command of master-0 ended with exit code 3: boom"
    assert kinds(actions) == ["Tell", "Ask"]
    assert story.status() is model.ExperimentStatus.RUNNING


def test_the_first_to_fail_by_itself_is_blamed_not_those_that_were_stopped_with_it() -> None:
    story = Story().running("aaaaa")
    stopped = model.ReplicaExit(code=143, metrics=0, stopped=True)
    story.happens(event.ReplicaReported(attempt=key("aaaaa"), replica=MASTER, exit=stopped))
    story.reports("aaaaa", ends=7, who=WORKER)

    story.observes("aaaaa", model.JobPhase.FAILED)

    assert story.trial("aaaaa").exit_code == 7


@pytest.mark.parametrize(
    ("ids", "status"),
    [
        (["aaaaa", "bbbbb"], model.ExperimentStatus.TUNER_NO_MORE_TRIAL),
        ([], model.ExperimentStatus.DONE),
    ],
)
def test_a_tuner_with_nothing_left_ends_the_experiment(ids: list[str], status: model.ExperimentStatus) -> None:
    story = Story(trial_concurrency=5, max_trial_number=None)
    story.starts()

    story.proposes(*ids, asked=5)

    assert story.status() is status


def test_done_when_the_last_trial_has_ended() -> None:
    story = Story(max_trial_number=1, trial_concurrency=1).running("aaaaa")
    assert story.status() is model.ExperimentStatus.NO_MORE_TRIAL
    story.reports("aaaaa", final("1"), ends=0)

    story.observes("aaaaa", model.JobPhase.SUCCEEDED)

    assert story.status() is model.ExperimentStatus.DONE
    assert story.state.ended_at == story.at


def test_raising_the_number_of_trials_opens_a_finished_experiment_again() -> None:
    story = Story(max_trial_number=1, trial_concurrency=1).running("aaaaa")
    story.reports("aaaaa", final("1"), ends=0)
    story.observes("aaaaa", model.JobPhase.SUCCEEDED)

    actions = story.happens(event.LimitsChanged(trial_concurrency=1, max_trial_number=2, max_experiment_seconds=None))

    assert kinds(actions) == ["Ask"]
    assert story.status() is model.ExperimentStatus.RUNNING
    assert story.state.ended_at is None


def test_none_at_once_is_a_pause() -> None:
    story = Story(trial_concurrency=1).running("aaaaa")
    pause = event.LimitsChanged(trial_concurrency=0, max_trial_number=3, max_experiment_seconds=None)
    assert story.happens(pause) == ()
    story.reports("aaaaa", final("1"), ends=0)
    assert kinds(story.observes("aaaaa", model.JobPhase.SUCCEEDED)) == ["Tell"]
    assert story.status() is model.ExperimentStatus.RUNNING
    assert kinds(story.happens(dataclasses.replace(pause, trial_concurrency=2))) == ["Ask"]


def test_a_trial_of_a_users_own_runs_beside_those_of_the_tuner() -> None:
    story = Story(trial_concurrency=1)
    story.starts()
    story.proposes("aaaaa")
    (submit,) = story.happens(event.TrialRequested(trial=model.TrialId("own00"), parameters={"x": 9}))
    assert isinstance(submit, event.Submit)
    assert (submit.parameters, submit.parameter_id, submit.order.slot) == ({"x": 9}, 1, 1)
    actions = story.creates("aaaaa", "own00")
    for trial in ("aaaaa", "own00"):
        story.observes(trial, model.JobPhase.RUNNING)
        story.reports(trial, final("1"), ends=0)
        actions = story.observes(trial, model.JobPhase.SUCCEEDED)
    assert kinds(actions) == ["Tell", "Ask"]
    assert isinstance(actions[1], event.Ask)
    assert actions[1].parameter_ids == (2,)


def test_after_its_duration_no_trial_is_added_and_running_ones_may_end() -> None:
    story = Story(max_experiment_seconds=60).running("aaaaa")
    story.at += 61
    story.happens(event.Ticked())
    story.reports("aaaaa", final("1"), ends=0)

    actions = story.observes("aaaaa", model.JobPhase.SUCCEEDED)

    assert kinds(actions) == ["Tell"]


def test_a_trial_past_its_duration_is_stopped_early() -> None:
    story = Story(max_trial_seconds=60).running("aaaaa")
    story.at += 61

    actions = story.happens(event.Ticked())
    story.happens(event.JobRemoved(attempt=key("aaaaa")), event.Harvested(attempt=key("aaaaa")))

    assert event.Remove(attempt=key("aaaaa"), ending=model.TrialStatus.EARLY_STOPPED) in actions
    assert story.trial("aaaaa").status is model.TrialStatus.EARLY_STOPPED


def test_a_stop_removes_every_job_then_cleans_up() -> None:
    story = Story().running("aaaaa", "bbbbb")

    assert kinds(story.happens(event.StopRequested(by="the user"))) == ["Remove", "Remove"]
    assert story.status() is model.ExperimentStatus.STOPPING
    story.happens(event.JobRemoved(attempt=key("aaaaa")), event.Harvested(attempt=key("aaaaa")))
    last = story.happens(event.JobRemoved(attempt=key("bbbbb")), event.Harvested(attempt=key("bbbbb")))
    assert kinds(last) == ["Tell", "CleanUp"]
    story.happens(event.CleanedUp())
    assert story.status() is model.ExperimentStatus.STOPPED
    assert story.state.counts[model.TrialStatus.SYS_CANCELED] == 2


def test_a_stop_while_the_tuner_thinks_does_not_wait_for_it() -> None:
    story = Story()
    story.starts()

    assert kinds(story.happens(event.StopRequested(by="the user"))) == ["CleanUp"]
    story.proposes("aaaaa", "bbbbb")
    assert story.state.counts[model.TrialStatus.SYS_CANCELED] == 2


def test_a_kill_while_the_job_is_being_created_waits_for_its_name() -> None:
    story = Story()
    story.starts()
    story.proposes("aaaaa", "bbbbb")

    assert story.happens(event.KillRequested(trial=model.TrialId("aaaaa"))) == ()
    assert kinds(story.creates("aaaaa")) == ["Remove"]


def test_a_job_that_succeeded_before_it_could_be_killed_has_succeeded() -> None:
    story = Story().running("aaaaa")
    story.happens(event.KillRequested(trial=model.TrialId("aaaaa")))
    story.observes("aaaaa", model.JobPhase.SUCCEEDED)
    story.reports("aaaaa", final("1"), ends=0)

    story.happens(event.JobRemoved(attempt=key("aaaaa")))

    assert story.trial("aaaaa").status is model.TrialStatus.SUCCEEDED


def test_a_refusal_that_may_pass_is_tried_again_when_its_time_has_come() -> None:
    story = Story()
    story.starts()
    story.proposes("aaaaa", "bbbbb")
    story.happens(event.JobRefused(attempt=key("aaaaa"), message="unreachable", retry_after=5))
    assert story.state.next_timer == 1005
    story.at = 1005

    actions = story.happens(event.Ticked())

    assert [a.order.slot for a in actions if isinstance(a, event.Submit)] == [0]
    assert story.trial("aaaaa").status is model.TrialStatus.WAITING


def test_a_refusal_for_good_fails_the_trial() -> None:
    story = Story()
    story.starts()
    story.proposes("aaaaa", "bbbbb")

    story.happens(event.JobRefused(attempt=key("aaaaa"), message="Master must have 1 replica"))

    assert story.trial("aaaaa").status is model.TrialStatus.FAILED
    assert story.trial("aaaaa").reason == model.Reason(
        kind=model.ReasonClass.CONFIG, sentence="Master must have 1 replica", since=1000
    )


def test_a_job_that_somebody_deleted_fails_its_trial() -> None:
    story = Story().running("aaaaa")
    gone = model.Reason(kind=model.ReasonClass.INFRASTRUCTURE, sentence="deleted by somebody")
    story.observes("aaaaa", model.JobPhase.GONE, reason=gone)

    story.happens(event.Harvested(attempt=key("aaaaa")))

    assert (story.trial("aaaaa").status, story.trial("aaaaa").reason) == (model.TrialStatus.FAILED, gone)


def test_the_journal_of_a_silent_trial_is_read_from_the_volume() -> None:
    story = Story().running("aaaaa")
    story.at += folding.SILENCE_SECONDS

    assert event.Harvest(attempt=key("aaaaa"), final=False) in story.happens(event.Ticked())

    read = event.ReplicaReported(attempt=key("aaaaa"), replica=MASTER, metrics=(step("1", 1),), by_volume=True)
    story.happens(read)
    assert story.trial("aaaaa").metric_path == "volume"


def test_a_trial_that_is_heard_of_is_left_alone() -> None:
    story = Story().running("aaaaa")
    story.at += folding.SILENCE_SECONDS - 1
    story.reports("aaaaa")
    story.at += 1

    assert "Harvest" not in kinds(story.happens(event.Ticked()))


def test_a_dead_tuner_is_an_error_and_running_trials_may_end() -> None:
    story = Story().running("aaaaa")

    story.happens(event.TunerFailed(message="TPE died"))

    assert (story.status(), story.state.errors) == (model.ExperimentStatus.ERROR, ["TPE died"])
    story.reports("aaaaa", final("1"), ends=0)
    assert story.observes("aaaaa", model.JobPhase.SUCCEEDED) == ()


def test_events_of_an_attempt_that_is_over_change_nothing() -> None:
    story = Story().running("aaaaa")
    story.reports("aaaaa", final("1"), ends=0)
    story.observes("aaaaa", model.JobPhase.SUCCEEDED)
    before = story.trial("aaaaa")

    story.observes("aaaaa", model.JobPhase.FAILED)
    story.happens(event.JobRemoved(attempt=key("aaaaa")), event.Harvested(attempt=key("aaaaa")))

    assert story.trial("aaaaa") == before


def test_a_replay_gives_the_same_state_and_begins_again_what_was_on_its_way() -> None:
    story = Story(max_trial_number=None, trial_concurrency=3).running("aaaaa", "bbbbb", "ccccc")
    story.reports("aaaaa", final("0.5"), ends=0)
    story.observes("aaaaa", model.JobPhase.SUCCEEDED)
    story.proposes("ddddd")
    story.happens(event.KillRequested(trial=model.TrialId("bbbbb")))
    again = State.new(experiment_id=model.ExperimentId("exp"), spec=story.state.spec)
    for at, happened in story.history:
        folding.fold(again, happened, at)
    assert again == story.state

    folding.fold(again, event.Started(), 2000.0)

    assert kinds(plan(again)) == ["Remove", "Submit"]


def test_changes_come_latest_first_and_end_at_the_revision_that_was_asked() -> None:
    story = Story().running("aaaaa", "bbbbb")
    seen = story.state.revision
    story.reports("aaaaa", step("1", 1))

    assert [trial.id for trial in story.state.changed_since(seen)] == ["aaaaa"]
    assert {trial.id for trial in story.state.changed_since(0)} == {"aaaaa", "bbbbb"}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0.5", 0.5),
        ("1", 1.0),
        ("true", 1.0),
        ('{"default": 2, "loss": NaN}', 2.0),
        ("NaN", None),
        ("-Infinity", None),
        ('"it\'s text"', None),
        ('{"loss": 1}', None),
        ('{"default": "1"}', None),
        ("[1]", None),
        ("{broken", None),
    ],
)
def test_the_number_of_a_metric(value: str, number: float | None) -> None:
    assert scalar(value) == number


def test_every_event_has_a_way_to_be_folded() -> None:
    for kind in typing.get_args(event.Event):
        assert folding._fold.dispatch(kind) is not folding._fold.dispatch(object), kind
    assert set(typing.get_args(event.Action)) == set(folding._BEGAN)


def test_trials_keep_their_parameters_whatever_happens() -> None:
    story = Story().running("aaaaa")

    assert dataclasses.asdict(story.trial("aaaaa"))["parameters"] == {"x": 0}
    assert story.trial("aaaaa").step is Step.LIVE


def test_metrics_after_a_gap_are_not_taken() -> None:
    story = Story().running("aaaaa")

    story.reports("aaaaa", step("0.1", 1), step("0.3", 3))

    assert story.trial("aaaaa").replicas[MASTER].received == 1
    assert story.trial("aaaaa").intermediate_count == 1
