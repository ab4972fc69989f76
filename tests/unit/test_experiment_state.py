"""Stories of fold and plan: what happens, what is due, what users see."""

import dataclasses
import typing
from collections.abc import Sequence

import pytest

from nni.core import due, event, model, spec
from nni.core import fold as folding
from nni.core.plan import MOST_ASKED, plan
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


def test_however_many_may_run_at_once_the_tuner_is_asked_for_a_bounded_number_at_a_time() -> None:
    story = Story(trial_concurrency=99_999_999_999, max_trial_number=None)

    (first,) = story.starts()
    assert isinstance(first, event.Ask)
    assert len(first.parameter_ids) == MOST_ASKED

    # As many more as were answered, no matter how many are on their way.
    *_, ask = story.proposes("aaaaa", "bbbbb")
    assert ask == event.Ask(parameter_ids=(MOST_ASKED, MOST_ASKED + 1))


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

    outcome = model.Outcome(
        parameter_id=0, parameters={"x": 0}, value=0.5, metric="0.5", succeeded=True, trial=model.TrialId("aaaaa")
    )
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
    ("shown", "seen", "evidence"),
    [
        ("Pod default/a-master-0", ("master", "worker"), "Pod default/a-worker-0"),
        ("PyTorchJob default/a", ("master", "worker"), "Pod default/a-worker-0"),
        ("Pod default/a-master-0", ("master",), ""),
        ("PyTorchJob default/a", (), "PyTorchJob default/a"),
    ],
)
def test_the_evidence_is_of_the_replica_that_is_blamed(shown: str, seen: Sequence[str], evidence: str) -> None:
    story = Story().running("aaaaa")
    stopped = model.ReplicaExit(code=143, metrics=0, stopped=True)
    story.happens(event.ReplicaReported(attempt=key("aaaaa"), replica=MASTER, exit=stopped))
    story.reports("aaaaa", ends=7, who=WORKER)
    pods = tuple(model.Pod(replica=model.Replica(role), name=f"a-{role}-0", phase="Failed") for role in seen)
    # The cluster shows how the first pod ended, and that is the one that was stopped.
    reason = model.Reason(kind=model.ReasonClass.USER, sentence="exit code 143", evidence=shown, since=1.0)
    story.observes("aaaaa", model.JobPhase.FAILED, reason=reason, pods=pods)

    told = story.trial("aaaaa").reason
    assert told is not None
    assert (told.sentence, told.evidence) == ("The command of worker-0 ended with exit code 7: boom", evidence)


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


def test_how_many_ran_at_once_before_a_pause_is_known_after_a_restart() -> None:
    story = Story(trial_concurrency=1).running("aaaaa")
    for number in (5, 0, 0):
        story.happens(event.LimitsChanged(trial_concurrency=number, max_trial_number=3, max_experiment_seconds=None))
    again = State.new(experiment_id=model.ExperimentId("exp"), spec=story.state.spec)
    for at, happened in story.history:
        folding.fold(again, happened, at)
    assert (again.is_paused, again.usual_concurrency) == (True, 5)


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


def test_a_stop_without_the_platform_waits_for_nothing_and_knows_what_it_leaves() -> None:
    story = Story().running("aaaaa")
    story.proposes("bbbbb")
    # The first stop waits for the platform, which does not answer.
    assert kinds(story.happens(event.StopRequested(by="the user"))) == ["Remove"]
    assert (story.status(), story.state.leaving) == (model.ExperimentStatus.STOPPING, 2)

    actions = story.happens(event.StopRequested(by="the user", without_platform=True))

    assert actions[-1] == event.CleanUp(keep=(), without_platform=True)
    assert [story.trial(one).status for one in ("aaaaa", "bbbbb")] == [model.TrialStatus.SYS_CANCELED] * 2
    story.happens(event.CleanedUp(gave_up=True))
    assert story.status() is model.ExperimentStatus.STOPPED
    assert story.state.left == ("job-aaaaa", "that of trial bbbbb")
    # Whatever comes of what was on its way changes nothing.
    story.happens(event.JobRemoved(attempt=key("aaaaa")))
    assert story.state.left == ("job-aaaaa", "that of trial bbbbb")


def test_what_a_stop_gave_up_is_known_as_left_until_a_later_stop_cleans_up() -> None:
    story = Story(trial_concurrency=1).running("aaaaa")
    story.happens(event.StopRequested(by="the user"))
    story.happens(event.JobRemoved(attempt=key("aaaaa"), gave_up=True), event.Harvested(attempt=key("aaaaa")))
    story.happens(event.CleanedUp(gave_up=True))
    assert list(story.state.left) == ["job-aaaaa"]

    # The next start removes it, and so does the next end.
    assert event.Discard(attempt=key("aaaaa")) in story.starts()
    assert not story.state.left
    story.happens(event.StopRequested(by="the user"))
    story.happens(event.CleanedUp())
    assert not story.state.left
    assert not story.state.abandoned


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


def test_the_journal_of_a_silent_trial_is_read_from_the_volume() -> None:
    story = Story().running("aaaaa")
    story.at += due.SILENCE_SECONDS

    assert event.Harvest(attempt=key("aaaaa"), final=False) in story.happens(event.Ticked())

    read = event.ReplicaReported(attempt=key("aaaaa"), replica=MASTER, metrics=(step("1", 1),), by_volume=True)
    story.happens(read)
    assert story.trial("aaaaa").metric_path == "volume"


def test_a_trial_that_is_heard_of_is_left_alone() -> None:
    story = Story().running("aaaaa")
    story.at += due.SILENCE_SECONDS - 1
    story.reports("aaaaa")
    story.at += 1

    assert "Harvest" not in kinds(story.happens(event.Ticked()))


def test_a_dead_tuner_is_an_error_and_running_trials_may_end() -> None:
    story = Story().running("aaaaa")

    # Told twice: by what was asked of it, and by what it was told meanwhile.
    story.happens(event.TunerFailed(message="TPE died"), event.TunerFailed(message="TPE died"))

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

    # The live trial's job is ordered once more, too: it may have gone meanwhile.
    assert kinds(plan(again)) == ["Tell", "Remove", "Submit", "Submit"]


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


EVICTED = model.Reason(
    kind=model.ReasonClass.INFRASTRUCTURE, sentence="Evicted: low on memory", evidence="Pod x", since=1
)


def fails(story: Story, trial: str, number: int, reason: model.Reason) -> Sequence[event.Action]:
    """Have the job of an attempt fail for a reason, with nothing left on the volume."""
    seen = model.Observation(phase=model.JobPhase.FAILED, reason=reason, exit_code=137)
    story.happens(event.JobObserved(attempt=key(trial, number), observation=seen))
    return story.happens(event.Harvested(attempt=key(trial, number)))


def runs_again(story: Story, trial: str, number: int) -> None:
    """Let the pause pass, and have the attempt's job run."""
    submit = None
    while submit is None:
        assert story.state.next_timer is not None
        story.at = story.state.next_timer
        submit = next((one for one in story.happens(event.Ticked()) if isinstance(one, event.Submit)), None)
    assert submit.order.attempt == key(trial, number)
    story.happens(event.JobCreated(attempt=key(trial, number), job=f"job-{number}", location="nfs://v"))
    seen = model.Observation(phase=model.JobPhase.RUNNING)
    story.happens(event.JobObserved(attempt=key(trial, number), observation=seen))


def test_what_the_cluster_ends_is_tried_again_with_the_same_parameters() -> None:
    story = Story(max_trial_number=1).running("aaaaa")
    story.reports("aaaaa", step("0.5", 1))
    parameters = story.trial("aaaaa").parameters

    assert kinds(fails(story, "aaaaa", 1, EVICTED)) == []

    waiting = story.trial("aaaaa")
    assert (waiting.status, waiting.attempt, waiting.cause) == (
        model.TrialStatus.WAITING,
        2,
        model.AttemptCause.INFRASTRUCTURE,
    )
    assert waiting.reason is not None
    assert waiting.reason.sentence == "Attempt 2 follows, because attempt 1 failed: Evicted: low on memory"
    assert (waiting.intermediate_count, waiting.last_value, waiting.parameters) == (0, None, parameters)
    (past,) = waiting.past
    assert (past.number, past.cause, past.job, past.exit_code, past.reason) == (
        1,
        model.AttemptCause.FIRST,
        "job-aaaaa",
        137,
        EVICTED,
    )
    runs_again(story, "aaaaa", 2)
    assert story.trial("aaaaa").status is model.TrialStatus.RUNNING
    assert story.state.counts[model.TrialStatus.FAILED] == 0


def test_the_tuner_hears_of_a_trial_once_whatever_its_attempts() -> None:
    story = Story(max_trial_number=1).running("aaaaa")
    fails(story, "aaaaa", 1, EVICTED)
    runs_again(story, "aaaaa", 2)
    story.happens(
        event.ReplicaReported(
            attempt=key("aaaaa", 2), replica=MASTER, metrics=(final("0.7"),), exit=model.ReplicaExit(code=0, metrics=1)
        )
    )

    seen = model.Observation(phase=model.JobPhase.SUCCEEDED)
    (tell,) = story.happens(event.JobObserved(attempt=key("aaaaa", 2), observation=seen))

    assert isinstance(tell, event.Tell)
    assert [outcome.value for outcome in tell.outcomes.values()] == [0.7]


def test_the_cluster_gets_three_more_chances_each_later_than_the_one_before() -> None:
    story = Story(max_trial_number=1).running("aaaaa")
    pauses = []
    for number in (1, 2, 3):
        fails(story, "aaaaa", number, EVICTED)
        before = story.at
        runs_again(story, "aaaaa", number + 1)
        pauses.append(story.at - before)

    fails(story, "aaaaa", 4, EVICTED)

    assert pauses == [0, 5, 20]
    assert (story.trial("aaaaa").status, story.trial("aaaaa").reason) == (model.TrialStatus.FAILED, EVICTED)


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (2, 3)])
def test_what_the_trial_s_own_code_ends_is_tried_again_only_if_asked_for(retries: int, attempts: int) -> None:
    story = Story(max_trial_number=1, max_trial_retries=retries).running("aaaaa")
    crash = model.Reason(kind=model.ReasonClass.USER, sentence="exit code 1")
    for number in range(1, attempts):
        fails(story, "aaaaa", number, crash)
        runs_again(story, "aaaaa", number + 1)

    fails(story, "aaaaa", attempts, crash)

    assert (story.trial("aaaaa").status, story.trial("aaaaa").attempt) == (model.TrialStatus.FAILED, attempts)


def test_a_stop_ends_a_trial_that_waits_for_its_next_attempt() -> None:
    story = Story(max_trial_number=1).running("aaaaa")
    fails(story, "aaaaa", 1, EVICTED)

    actions = story.happens(event.StopRequested(by="a test"))

    assert story.trial("aaaaa").status is model.TrialStatus.SYS_CANCELED
    assert "CleanUp" in kinds(actions)


def test_a_trial_whose_chief_is_done_succeeds_whatever_befell_the_others() -> None:
    story = Story(max_trial_number=1).running("aaaaa")
    story.reports("aaaaa", final("0.9"), ends=0)

    story.observes("aaaaa", model.JobPhase.FAILED, reason=EVICTED)

    assert story.trial("aaaaa").status is model.TrialStatus.SUCCEEDED


def test_a_trial_that_is_kept_from_starting_for_too_long_is_given_up() -> None:
    story = Story(max_trial_number=1)
    story.starts()
    story.proposes("aaaaa")
    story.creates("aaaaa")
    reason = model.Reason(kind=model.ReasonClass.CONFIG, sentence="no image", since=story.at, fails_after=300)
    story.observes("aaaaa", model.JobPhase.PENDING, reason=reason)
    story.at += 299
    assert kinds(story.happens(event.Ticked())) == []

    story.at += 1
    assert kinds(story.happens(event.Ticked())) == ["Remove"]
    story.happens(event.JobRemoved(attempt=key("aaaaa")), event.Harvested(attempt=key("aaaaa")))

    assert (story.trial("aaaaa").status, story.trial("aaaaa").reason) == (model.TrialStatus.FAILED, reason)


def test_a_trial_that_starts_within_its_grace_is_not_given_up() -> None:
    story = Story(max_trial_number=1)
    story.starts()
    story.proposes("aaaaa")
    story.creates("aaaaa")
    reason = model.Reason(kind=model.ReasonClass.CONFIG, sentence="no image", since=story.at, fails_after=300)
    story.observes("aaaaa", model.JobPhase.PENDING, reason=reason)
    story.observes("aaaaa", model.JobPhase.RUNNING)
    story.at += 300

    assert "Remove" not in kinds(story.happens(event.Ticked()))


def test_what_is_seen_of_a_job_before_its_creation_is_answered_stays() -> None:
    story = Story(max_trial_number=1)
    story.starts()
    story.proposes("aaaaa")
    reason = model.Reason(kind=model.ReasonClass.CAPACITY, sentence="It is queued.", since=story.at)
    story.observes("aaaaa", model.JobPhase.QUEUED, reason=reason)
    story.creates("aaaaa")

    assert (story.trial("aaaaa").status, story.trial("aaaaa").reason) == (model.TrialStatus.WAITING, reason)


def test_a_trial_that_a_queue_takes_back_waits_and_goes_on() -> None:
    story = Story(max_trial_number=1).running("aaaaa")

    story.observes("aaaaa", model.JobPhase.QUEUED)
    story.reports("aaaaa", step("0.1", 1))
    assert story.trial("aaaaa").status is model.TrialStatus.WAITING
    assert story.trial("aaaaa").intermediate_count == 1
    story.observes("aaaaa", model.JobPhase.RUNNING)

    assert (story.trial("aaaaa").status, story.trial("aaaaa").attempt) == (model.TrialStatus.RUNNING, 1)


def ended(story: Story, trial: str) -> None:
    story.reports(trial, final("0.9"), ends=0)
    story.observes(trial, model.JobPhase.SUCCEEDED)


def test_the_job_of_an_ended_trial_goes_after_a_while() -> None:
    story = Story(max_trial_number=1).running("aaaaa")
    ended(story, "aaaaa")
    story.at += 599
    assert "Discard" not in kinds(story.happens(event.Ticked()))

    story.at += 1
    assert kinds(story.happens(event.Ticked())) == ["Discard"]
    assert kinds(story.happens(event.Ticked())) == []
    story.happens(event.JobDiscarded(attempt=key("aaaaa")))

    assert story.state.ended_jobs == {}


def test_failed_jobs_stay_if_asked_for() -> None:
    story = Story(max_trial_number=1, keep_failed_jobs=True).running("aaaaa")
    fails(story, "aaaaa", 1, model.Reason(kind=model.ReasonClass.USER, sentence="exit code 1"))
    story.at += 10_000
    assert "Discard" not in kinds(story.happens(event.Ticked()))

    (clean_up,) = story.happens(event.StopRequested(by="a test"))

    assert clean_up == event.CleanUp(keep=(key("aaaaa"),))


MEDIANSTOP = spec.AlgorithmSpec(name="Medianstop")


def test_new_intermediate_results_are_put_to_the_assessor_once() -> None:
    story = Story(assessor=MEDIANSTOP).running("aaaaa", "bbbbb")

    first = story.reports("aaaaa", step("0.1", 1), step("0.2", 2))
    second = story.reports("aaaaa", step("0.1", 1), step("0.2", 2), step('{"default": 0.3}', 3))

    assert first == (event.Assess(attempt=key("aaaaa"), start=0, values=("0.1", "0.2")),)
    assert second == (event.Assess(attempt=key("aaaaa"), start=2, values=('{"default": 0.3}',)),)


def test_without_an_assessor_nothing_is_assessed() -> None:
    story = Story().running("aaaaa", "bbbbb")

    assert story.reports("aaaaa", step("0.1", 1)) == ()


def test_what_the_assessor_rejects_is_stopped_and_the_tuner_gets_the_last_value() -> None:
    story = Story(assessor=MEDIANSTOP, max_trial_number=2).running("aaaaa", "bbbbb")
    story.reports("aaaaa", step("0.1", 1), step("0.2", 2), step("NaN", 3))

    actions = story.happens(event.Rejected(attempt=key("aaaaa"), results=3))
    assert actions == (event.Remove(attempt=key("aaaaa"), ending=model.TrialStatus.EARLY_STOPPED),)

    story.happens(event.JobRemoved(attempt=key("aaaaa")))
    told = story.happens(event.Harvested(attempt=key("aaaaa")))
    assert isinstance(told[0], event.Tell)
    outcome = told[0].outcomes[model.TrialId("aaaaa")]
    assert (outcome.value, outcome.metric, outcome.succeeded, outcome.is_whole) == (0.2, "0.2", True, False)
    reason = story.trial("aaaaa").reason
    assert reason is not None
    assert reason.sentence == "It was stopped by the assessor Medianstop after 3 intermediate results."
    assert story.state.best is None


def test_an_opinion_of_a_trial_that_is_over_changes_nothing() -> None:
    story = Story(assessor=MEDIANSTOP).running("aaaaa", "bbbbb")
    story.reports("aaaaa", step("0.1", 1), final("0.5", 2), ends=0)
    story.observes("aaaaa", model.JobPhase.SUCCEEDED)

    assert story.happens(event.Rejected(attempt=key("aaaaa"), results=1)) == ()
    assert story.trial("aaaaa").status is model.TrialStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("optimize", "metric", "value", "maximize"),
    [
        ({"accuracy": "maximize", "latency": "minimize"}, '{"accuracy": 0.9, "latency": 3}', 0.9, True),
        ({"latency": "minimize", "default": "maximize"}, '{"default": 0.8, "latency": 3}', 0.8, True),
        ({"latency": "minimize", "accuracy": "maximize"}, '{"accuracy": 0.9, "latency": 3}', 3.0, False),
    ],
)
def test_of_several_objectives_trials_are_compared_by_default_or_the_first(
    *, optimize: typing.Any, metric: str, value: float, maximize: bool
) -> None:
    story = Story(tuner=spec.AlgorithmSpec(name="NSGA-II", class_args={"optimize": optimize})).running("aaaaa", "bbbbb")
    story.reports("aaaaa", final(metric), ends=0)
    story.observes("aaaaa", model.JobPhase.SUCCEEDED)

    assert story.trial("aaaaa").final_value == value
    assert story.state.spec.maximize is maximize
    assert story.state.best == "aaaaa"


def test_after_a_restart_the_new_tuner_is_told_everything_and_a_mended_one_goes_on() -> None:
    story = Story(max_trial_number=None).running("aaaaa", "bbbbb")
    story.reports("aaaaa", final("0.5"), ends=0)
    story.observes("aaaaa", model.JobPhase.SUCCEEDED)
    story.happens(event.TunerFailed(message="It broke."))
    assert story.status() is model.ExperimentStatus.ERROR

    actions = story.starts()

    assert story.status() is model.ExperimentStatus.RUNNING
    assert kinds(actions) == ["Tell", "Submit", "Ask"]


def test_a_tuner_that_was_mended_while_the_manager_runs_is_told_everything_and_running_trials_are_let_alone() -> None:
    story = Story(max_trial_number=None, trial_concurrency=3).running("aaaaa", "bbbbb")
    story.reports("aaaaa", final("0.5"), ends=0)
    story.happens(event.TunerFailed(message="It broke."))
    story.observes("aaaaa", model.JobPhase.SUCCEEDED)

    actions = story.happens(event.TunerReopened())

    assert (story.status(), story.state.errors) == (model.ExperimentStatus.RUNNING, [])
    assert kinds(actions) == ["Tell", "Ask"]
    (told, asked) = actions
    assert isinstance(told, event.Tell)
    assert list(told.outcomes) == ["aaaaa"]
    assert isinstance(asked, event.Ask)
    assert len(asked.parameter_ids) == 2


def test_another_search_space_is_given_to_the_tuner_before_it_is_asked_again() -> None:
    story = Story(trial_concurrency=1, max_trial_number=None)
    story.starts()
    story.proposes(asked=1)
    assert story.status() is model.ExperimentStatus.DONE

    other = {"x": {"_type": "uniform", "_value": [0, 9]}}
    actions = story.happens(event.SearchSpaceChanged(search_space=other))

    assert kinds(actions) == ["Update", "Ask"]
    assert story.state.spec.search_space == story.state.spec.canonical["searchSpace"] == other


def test_imported_results_are_told_to_the_tuner_and_again_to_the_next_one() -> None:
    story = Story()
    story.starts()
    results = (
        event.ResultImported(parameters={"x": 0.5}, metric='{"default": 0.7}'),
        event.ResultImported(parameters={"x": 0.1}, metric="NaN"),
    )

    (tell,) = story.happens(event.ResultsImported(results=results))

    assert isinstance(tell, event.Tell)
    told = [(one.parameter_id, one.parameters, one.value, one.succeeded) for one in tell.outcomes.values()]
    assert told == [(-1, {"x": 0.5}, 0.7, True), (-2, {"x": 0.1}, None, False)]
    assert story.happens(event.TunerTold(trials=tuple(tell.outcomes))) == ()
    assert story.state.counts[model.TrialStatus.SUCCEEDED] == 0

    again = story.starts()
    assert again[0] == tell


def test_after_a_restart_each_job_is_ordered_once_more_under_its_own_slot() -> None:
    story = Story(max_trial_number=2).running("aaaaa", "bbbbb")
    slots = [story.trial(one).slot for one in ("aaaaa", "bbbbb")]

    actions = story.starts()

    orders = [action.order for action in actions if isinstance(action, event.Submit)]
    assert [(order.attempt, order.slot) for order in orders] == [(key("aaaaa"), slots[0]), (key("bbbbb"), slots[1])]
    story.creates("aaaaa", "bbbbb")
    assert {story.trial(one).step for one in ("aaaaa", "bbbbb")} == {Step.LIVE}
    assert {story.trial(one).status for one in ("aaaaa", "bbbbb")} == {model.TrialStatus.RUNNING}


def with_promotions(**changes: typing.Any) -> Story:
    """Two trials that ran at once and ended well, with a tuner that may have them go on."""
    story = Story(**{"max_trial_number": 2, **changes})
    story.happens(event.Started(promotes=True))
    story.proposes("aaaaa", "bbbbb")
    story.creates("aaaaa", "bbbbb")
    for trial, value in (("aaaaa", "0.5"), ("bbbbb", "0.25")):
        story.reports(trial, final(value), ends=0)
        story.observes(trial, model.JobPhase.SUCCEEDED, started_at=story.at)
    return story


def promotion(of: str, **parameters: typing.Any) -> event.Proposal:
    return event.Proposal(
        trial=model.TrialId("zzzzz"), parameter_id=7, parameters=parameters, promotes=model.TrialId(of)
    )


def test_a_promotion_is_an_attempt_of_the_same_trial_with_a_job_of_its_own() -> None:
    story = with_promotions()

    submit, ask = story.happens(event.Proposed(asked=1, proposals=(promotion("aaaaa", x=0, budget=3),)))

    assert ask == event.Ask(parameter_ids=(3,), new=0)
    assert isinstance(submit, event.Submit)
    assert (submit.order.attempt, submit.parameters) == (key("aaaaa", 2), {"x": 0, "budget": 3})
    assert submit.order.slot == 2
    trial = story.trial("aaaaa")
    assert (trial.status, trial.attempt, trial.cause) == ("WAITING", 2, model.AttemptCause.PROMOTION)
    assert [(past.number, past.result and past.result.value) for past in trial.past] == [(1, 0.5)]
    assert (len(story.state.trials), story.status()) == (2, model.ExperimentStatus.NO_MORE_TRIAL)


def test_only_promotions_are_asked_for_when_there_are_as_many_trials_as_may_be() -> None:
    story = Story(max_trial_number=3, trial_concurrency=2)
    assert story.happens(event.Started(promotes=True)) == (event.Ask(parameter_ids=(0, 1), new=2),)
    story.proposes("aaaaa", "bbbbb")
    story.creates("aaaaa", "bbbbb")
    story.reports("aaaaa", final("1"), ends=0)
    tell, ask = story.observes("aaaaa", model.JobPhase.SUCCEEDED, started_at=story.at)
    assert isinstance(tell, event.Tell)
    assert ask == event.Ask(parameter_ids=(2,), new=1)
    story.proposes("ccccc")
    story.creates("ccccc")
    story.reports("bbbbb", final("1"), ends=0)
    assert story.observes("bbbbb", model.JobPhase.SUCCEEDED, started_at=story.at)[1:] == (
        event.Ask(parameter_ids=(3,), new=0),
    )


def test_it_is_over_when_the_tuner_knows_all_and_wants_nothing() -> None:
    story = with_promotions()
    nothing = event.Proposed(asked=1, proposals=())

    assert story.happens(nothing) == ()
    assert story.status() is model.ExperimentStatus.NO_MORE_TRIAL
    # What it learns meanwhile may make it want something.
    (again,) = story.happens(event.TunerTold(trials=(model.TrialId("aaaaa"),)))
    assert again == event.Ask(parameter_ids=(3, 4), new=0)
    story.happens(event.TunerTold(trials=(model.TrialId("bbbbb"),)))
    story.happens(event.Proposed(asked=2, proposals=()))
    assert story.status() is model.ExperimentStatus.DONE


def test_a_result_stands_while_its_trial_goes_on_and_is_replaced_by_the_next() -> None:
    story = with_promotions()
    assert story.state.best == "aaaaa"
    story.happens(event.Proposed(asked=1, proposals=(promotion("aaaaa", x=0, budget=3),)))
    before = story.trial("aaaaa")
    assert (before.final, before.shown_value, before.result and before.result.parameters) == (None, 0.5, {"x": 0})

    attempt = key("aaaaa", 2)
    report = event.ReplicaReported(
        attempt=attempt, replica=MASTER, metrics=(final("0.125"),), exit=model.ReplicaExit(code=0, metrics=1)
    )
    story.happens(event.JobCreated(attempt=attempt, job="job", location="nfs://v"), report)
    done = model.Observation(phase=model.JobPhase.SUCCEEDED, started_at=story.at)
    (tell,) = story.happens(event.JobObserved(attempt=attempt, observation=done))

    after = story.trial("aaaaa")
    assert (after.status, after.shown_value) == ("SUCCEEDED", 0.125)
    assert after.result is not None
    assert after.result.parameters == {"x": 0, "budget": 3}
    # With its larger budget it is no more the best.
    assert story.state.best == "bbbbb"
    assert isinstance(tell, event.Tell)
    assert [(one.parameter_id, one.value) for one in tell.outcomes.values()] == [(7, 0.125)]


def test_a_promotion_that_fails_leaves_the_result_before_it() -> None:
    story = with_promotions()
    story.happens(event.Proposed(asked=1, proposals=(promotion("aaaaa", x=0, budget=3),)))
    attempt = key("aaaaa", 2)
    exit_ = model.ReplicaExit(code=1, metrics=0, lines=("boom",))
    story.happens(
        event.JobCreated(attempt=attempt, job="job", location="nfs://v"),
        event.ReplicaReported(attempt=attempt, replica=MASTER, exit=exit_),
    )
    failed = model.Observation(phase=model.JobPhase.FAILED, started_at=story.at)
    (tell,) = story.happens(event.JobObserved(attempt=attempt, observation=failed))

    trial = story.trial("aaaaa")
    assert (trial.status, trial.shown_value, story.state.best) == ("FAILED", 0.5, "aaaaa")
    assert isinstance(tell, event.Tell)
    assert [(one.parameter_id, one.succeeded) for one in tell.outcomes.values()] == [(7, False)]


def test_a_tuner_that_is_started_again_learns_of_every_budget() -> None:
    story = with_promotions()
    story.happens(event.Proposed(asked=1, proposals=(promotion("aaaaa", x=0, budget=3),)))

    actions = story.happens(event.Started(promotes=True))

    (tell,) = [action for action in actions if isinstance(action, event.Tell)]
    assert [(one.trial, one.parameter_id, one.value) for one in tell.earlier] == [("aaaaa", 0, 0.5)]
    # The trial goes on: of its second budget there is nothing to tell yet.
    assert list(tell.outcomes) == ["bbbbb"]
    assert not story.state.untold


def test_nothing_is_promoted_while_the_experiment_stops_and_a_trial_that_cannot_go_on_is_made_anew() -> None:
    story = with_promotions()
    story.happens(event.StopRequested(by="the user"))
    assert story.happens(event.Proposed(asked=1, proposals=(promotion("aaaaa", x=0),))) == ()
    assert story.trial("aaaaa").status == "SUCCEEDED"

    story = with_promotions(max_trial_number=3)
    story.happens(event.Proposed(asked=1, proposals=(promotion("import-1", x=0),)))
    assert story.trial("zzzzz").parameters == {"x": 0}
    # There is room for no other.
    story.happens(event.Proposed(asked=0, proposals=(promotion("import-2", x=1),)))
    assert len(story.state.trials) == 3


def test_a_limit_that_is_raised_while_the_tuner_answers_is_not_missed() -> None:
    story = with_promotions()
    story.happens(event.TunerTold(trials=(model.TrialId("aaaaa"),)), event.TunerTold(trials=(model.TrialId("bbbbb"),)))
    change = event.LimitsChanged(trial_concurrency=2, max_trial_number=9, max_experiment_seconds=None)
    assert kinds(story.happens(change)) == []
    # This answers what was asked when there could be no more trials.
    (again,) = story.happens(event.Proposed(asked=1, proposals=()))
    assert again == event.Ask(parameter_ids=(3, 4), new=2)


def test_another_search_space_while_the_tuner_answers_is_not_missed() -> None:
    story = Story(trial_concurrency=1)
    story.starts()
    story.happens(event.SearchSpaceChanged(search_space={"x": {"_type": "choice", "_value": [1, 2]}}))
    # The old space was exhausted.
    (again,) = story.happens(event.Proposed(asked=1, proposals=()))
    assert again == event.Ask(parameter_ids=(1,))
    assert story.status() is model.ExperimentStatus.RUNNING


def test_nothing_is_promoted_when_time_is_up() -> None:
    story = with_promotions(max_experiment_seconds=60)
    story.at += 61
    story.happens(event.Ticked(), event.Proposed(asked=1, proposals=(promotion("aaaaa", x=0),)))
    assert (story.trial("aaaaa").status, story.status()) == ("SUCCEEDED", model.ExperimentStatus.DONE)


@pytest.mark.parametrize("value", ["NaN", '"good"'])
def test_a_promotion_that_gives_no_number_makes_room_for_another_best(value: str) -> None:
    story = with_promotions()
    story.happens(event.Proposed(asked=1, proposals=(promotion("aaaaa", x=0, budget=3),)))
    attempt = key("aaaaa", 2)
    done = model.Observation(phase=model.JobPhase.SUCCEEDED, started_at=story.at)
    story.happens(
        event.JobCreated(attempt=attempt, job="job", location="nfs://v"),
        event.ReplicaReported(
            attempt=attempt, replica=MASTER, metrics=(final(value),), exit=model.ReplicaExit(code=0, metrics=1)
        ),
        event.JobObserved(attempt=attempt, observation=done),
    )
    assert story.state.best == "bbbbb"


def test_each_budget_has_retries_of_its_own() -> None:
    lost = model.Reason(kind=model.ReasonClass.INFRASTRUCTURE, sentence="The node was lost.")

    def loses(story: Story, number: int) -> None:
        gone = model.Observation(phase=model.JobPhase.GONE, reason=lost)
        attempt = key("aaaaa", number)
        created = event.JobCreated(attempt=attempt, job="job", location="nfs://v")
        story.at += 1000
        story.happens(event.Ticked())
        story.happens(created, event.JobObserved(attempt=attempt, observation=gone), event.Harvested(attempt=attempt))

    story = with_promotions(infrastructure_retries=1)
    story.happens(event.Proposed(asked=1, proposals=(promotion("aaaaa", x=0, budget=3),)))
    loses(story, 2)
    assert (story.trial("aaaaa").attempt, story.trial("aaaaa").cause) == (3, model.AttemptCause.INFRASTRUCTURE)
    loses(story, 3)
    assert story.trial("aaaaa").status == "FAILED"


def test_earlier_results_are_told_to_a_new_tuner_alone() -> None:
    story = with_promotions()
    story.happens(event.Proposed(asked=1, proposals=(promotion("aaaaa", x=0, budget=3),)))
    attempt = key("aaaaa", 2)
    done = model.Observation(phase=model.JobPhase.SUCCEEDED, started_at=story.at)
    report = event.ReplicaReported(
        attempt=attempt, replica=MASTER, metrics=(final("1"),), exit=model.ReplicaExit(code=0, metrics=1)
    )
    created = event.JobCreated(attempt=attempt, job="job", location="nfs://v")
    (tell,) = story.happens(created, report, event.JobObserved(attempt=attempt, observation=done))
    assert isinstance(tell, event.Tell)
    assert (list(tell.outcomes), tell.earlier) == (["aaaaa"], ())
    tell, *_ = story.happens(event.TunerReopened())
    assert isinstance(tell, event.Tell)
    assert [one.value for one in tell.earlier] == [0.5]
