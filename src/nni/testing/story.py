"""An experiment told event by event, and shown in a real portal: no manager, no platform, no tuner.

For tests of what people see. The state is folded as the manager folds it; commands are kept and folded too.
"""

import contextlib
import datetime as dt
import itertools
import os
import pathlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from nni import _version, check, errors
from nni.core import event, fold, model, ports, spec, surroundings
from nni.core import state as states
from nni.manager import machine
from nni.server import auth, events, health, listen, portal, rest, views
from nni.testing import volume
from nni.wire import layout

CHIEF = model.Replica("master")


class Story:
    """An experiment of jobs with a master and a worker, whose clock stands until it is told to go on."""

    many_at_once: int | None = None
    """Of more trials at once the page asks whether they are meant."""

    def __init__(self, **changes: Any) -> None:
        """Begin with an experiment to which nothing has happened.

        Args:
            changes: Fields of the experiment's specification that differ from the usual ones.
        """
        self.state = states.State.new(experiment_id=model.ExperimentId("story123"), spec=_spec(**changes))
        self.revisions = events.Revisions()
        self.token = secrets.token_urlsafe(16)
        self.commands: list[rest.Command] = []
        self.vitals = health.Vitals(self.revisions.nudge)
        self.volume: ports.Volume = volume.MemoryVolume()
        self.growth: ports.Growth | None = None
        self.logs = volume.MemoryVolume()
        self.experiments: list[views.Json] = []
        self.others: dict[str, Story] = {}
        """Other experiments that are told too, by their ids."""
        self.results: dict[str, list[float]] = {}
        """Final metrics of further ones; one a minute."""
        self.configs: dict[str, views.Json] = {}
        """How these are configured; like this one where nothing is said."""
        self.importance: dict[str, float] = {}
        self.jobs: dict[str, Mapping[str, Any]] = {}
        """Jobs as the platform has them, by their names."""
        self.around: surroundings.Surroundings | errors.NniError = surroundings.Surroundings()
        """What is around the jobs, or why that cannot be seen."""
        self.findings: list[views.Json] = []
        """What the doctor finds when it looks again."""
        self._report: views.Json = {"at": None, "findings": []}
        self.entries: list[ports.Entry] = []
        """All that happened, as the records would have it."""
        self._rows: dict[model.TrialId, list[ports.MetricRow]] = {}
        self._now = 1_795_441_600.0
        self._is_real = False

    def now(self) -> float:
        """Return the story's time, in seconds since the epoch."""
        return self._now + (_real_time() if self._is_real else 0.0)

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def is_now(self) -> None:
        """Set the story's clock to the real time; it goes on from there."""
        self._is_real = True
        self._now = 0.0

    def happens(self, *happened: event.Event) -> None:
        """Fold events and tell the listeners."""
        for its in happened:
            self.entries.append(entry := ports.Entry(at=self.now(), event=its))
            fold.fold(self.state, its, entry.at)
        self.revisions.publish(self.state.revision)

    def proposes(self, *trials: str, **parameters: Any) -> None:
        """Add trials, each with the given parameters and an ``x`` of its own."""
        first = len(self.state.trials)
        proposals = tuple(
            event.Proposal(
                trial=model.TrialId(trial),
                parameter_id=first + place,
                parameters={"x": first + place, **parameters},
            )
            for place, trial in enumerate(trials)
        )
        ask = event.Ask(parameter_ids=tuple(its.parameter_id for its in proposals))
        self.happens(event.Began(action=ask), event.Proposed(asked=len(trials), proposals=proposals))

    def creates(self, *trials: str, directory: str | None = None) -> None:
        """Have the platform take the trials' jobs; their outputs are below an export's directory if not another."""
        directory = directory or f"nfs://10.20.30.40/mnt/nfs/nni/nni/{self.state.experiment_id}"
        for trial in trials:
            order = model.JobOrder(
                attempt=self.key(trial), sequence=self.state.trials[model.TrialId(trial)].sequence, slot=0
            )
            submit = event.Submit(order=order, parameter_id=0, parameters={})
            location = f"{directory}/{trial}"
            job = f"nni-exp-{self.state.experiment_id}-trial-{trial}"
            self.happens(
                event.Began(action=submit), event.JobCreated(attempt=order.attempt, job=job, location=location)
            )

    def observes(
        self, trial: str, phase: model.JobPhase, reason: model.Reason | None = None, pods: Sequence[model.Pod] = ()
    ) -> None:
        """Have the platform see a trial's job in a phase."""
        seen = model.Observation(phase=phase, reason=reason, pods=tuple(pods))
        self.happens(event.JobObserved(attempt=self.key(trial), observation=seen))

    def runs(self, *trials: str) -> None:
        """Propose trials and have them run."""
        self.proposes(*trials)
        self.creates(*trials)
        for trial in trials:
            self.observes(trial, model.JobPhase.RUNNING)

    def reports(self, trial: str, *values: str, final: str | None = None, who: model.Replica = CHIEF) -> None:
        """Have a replica report intermediate values and a final one, all JSON text."""
        attempt = self.key(trial)
        rows = self._rows.setdefault(attempt.trial, [])
        said = [row.metric for row in rows if (row.attempt, row.replica) == (attempt, who)]
        kinds = [(value, model.MetricType.PERIODICAL) for value in values]
        kinds += [] if final is None else [(final, model.MetricType.FINAL)]
        first = len(said) + 1
        metrics = tuple(
            model.Metric(
                number=first + place,
                at=self.now(),
                type=kind,
                sequence=len(said) + place if kind is model.MetricType.PERIODICAL else 0,
                value=value,
            )
            for place, (value, kind) in enumerate(kinds)
        )
        rows += [
            ports.MetricRow(attempt=attempt, replica=who, metric=metric, received_at=self.now()) for metric in metrics
        ]
        self.happens(event.ReplicaReported(attempt=attempt, replica=who, metrics=metrics))

    def ends(self, trial: str, code: int = 0, lines: Sequence[str] = (), who: model.Replica = CHIEF) -> None:
        """Have a replica end, and its job with it."""
        known = self.state.trials[model.TrialId(trial)].replicas.get(who)
        its_exit = model.ReplicaExit(code=code, metrics=known.received if known else 0, lines=tuple(lines))
        phase = model.JobPhase.FAILED if code else model.JobPhase.SUCCEEDED
        attempt = self.key(trial)
        self.happens(
            event.ReplicaReported(attempt=attempt, replica=who, exit=its_exit),
            event.JobObserved(attempt=attempt, observation=model.Observation(phase=phase)),
            event.Harvested(attempt=attempt),
        )

    def loses(self, trial: str, sentence: str = "The node is gone.") -> None:
        """Have the cluster take a trial's job away; another attempt follows."""
        attempt = self.key(trial)
        lost = model.Reason(kind=model.ReasonClass.INFRASTRUCTURE, sentence=sentence, since=self.now())
        self.observes(trial, model.JobPhase.FAILED, lost)
        self.happens(event.Harvested(attempt=attempt))

    def key(self, trial: str) -> model.AttemptKey:
        """Return the trial's current attempt."""
        return self.state.trials[model.TrialId(trial)].key

    async def metrics(
        self, trial: model.TrialId | None = None, kind: model.MetricType | None = None
    ) -> Sequence[ports.MetricRow]:
        """Return metrics as the records do."""
        found = itertools.chain.from_iterable(self._rows.values()) if trial is None else self._rows.get(trial, ())
        return [row for row in found if kind is None or row.metric.type is kind]

    async def request(self, command: rest.Command) -> None:
        """Take a command as the loop does."""
        self.commands.append(command)
        self.happens(command)

    async def writes(self, trial: str, path: str, text: str | bytes, who: model.Replica = CHIEF) -> None:
        """Have a replica write a file into its directory on the volume."""
        key = self.key(trial)
        directory = layout.replica(self.state.experiment_id, key.trial, key.number, who.role, who.index)
        content = text.encode() if isinstance(text, str) else text
        await self.volume.put(f"{directory}/{path}", content)

    async def _known(self) -> Sequence[views.Json]:
        return self.experiments

    async def _job(self, name: str) -> Mapping[str, Any] | None:
        return self.jobs.get(name)

    async def _surroundings(self) -> surroundings.Surroundings:
        if isinstance(self.around, errors.NniError):
            raise self.around
        return self.around

    def report(self) -> views.Json:
        """Return what the doctor found last."""
        return self._report

    async def examine(self) -> views.Json:
        """Have the doctor look."""
        self._report = {"at": views.milliseconds(self.now()), "findings": self.findings}
        return self._report

    async def _results(self, experiment_id: str) -> views.Json:
        other = self.others.get(experiment_id) or self._other(experiment_id)
        known = (its for its in self.experiments if its["id"] == experiment_id)
        return next(known, {"id": experiment_id, "experimentName": ""}) | machine.outcome(other.state)

    def _other(self, experiment_id: str) -> "Story":
        if experiment_id not in self.results:
            raise errors.ExperimentNotFoundError(f"No experiment {experiment_id} is known on this machine.")
        config = self.configs.get(experiment_id, self.state.spec.canonical)
        other = Story(canonical=config, tuner=spec.AlgorithmSpec.written(config.get("tuner")))
        other.happens(event.Started())
        for number, value in enumerate(self.results[experiment_id], 1):
            other.passes(60.0)
            other.proposes(trial := f"other{number}", x=number)
            other.creates(trial)
            other.reports(trial, final=str(value))
            other.ends(trial)
        return other

    async def _importance(self) -> views.Json:
        return {"importance": self.importance, "trials": len(self.state.trials)}

    def _new_trial_id(self) -> model.TrialId:
        return model.TrialId(f"own{len(self.state.trials):02}")

    async def _reopen(self) -> None:
        self.happens(event.TunerReopened())

    def _space_problems(self, value: object) -> list[errors.Problem]:
        return check.space_problems(self.state.spec, value, [its.parameters for its in self.state.trials.values()])

    @contextlib.asynccontextmanager
    async def shown(self, static: pathlib.Path, *, url_prefix: str = "") -> AsyncIterator[str]:
        """Serve the portal while the context is open, and yield its address without a final slash.

        Args:
            static: The directory with the built page.
            url_prefix: Where the portal stands.
        """
        listener = listen.bind("127.0.0.1", 0)
        port = listener.getsockname()[1]
        app = portal.make_app(
            sources=rest.Sources(
                state=self.state,
                records=self,
                revisions=self.revisions,
                request=self.request,
                reopen=self._reopen,
                clock=self,
                vitals=self.vitals,
                volume=self.volume,
                growth=self.growth,
                logs=self.logs,
                new_trial_id=self._new_trial_id,
                space_problems=self._space_problems,
                experiments=self._known,
                results=self._results,
                importance=self._importance,
                job=self._job,
                surroundings=self._surroundings,
                doctor=self,
            ),
            about=views.About(
                port=port,
                pid=os.getpid(),
                platform="kubeflow",
                log_directory="/experiments/story123/log",
                version=_version.__version__,
                url_prefix=url_prefix,
                many_at_once=self.many_at_once,
                removal="kubectl delete jobs,pods,secrets --selector nni/experiment=story123",
            ),
            guard=auth.Guard(self.state.experiment_id, self.token),
            hosts=auth.Hosts.of("127.0.0.1"),
            static=static,
        )
        async with listen.serve(app, listener):
            yield f"http://127.0.0.1:{port}" + (f"/{url_prefix}" if url_prefix else "")


def _real_time() -> float:
    return dt.datetime.now(dt.UTC).timestamp()


def _spec(**changes: Any) -> spec.ExperimentSpec:
    roles = tuple(
        spec.RoleSpec(name=name, replicas=1, command="python3 model.py", code_directory="/code")
        for name in ("master", "worker")
    )
    storage = spec.NfsSpec(server="10.20.30.40", path="/mnt/nfs/nni")
    platform = spec.KubeflowSpec(
        operator="pytorch-operator", api_version="v1", namespace="default", roles=roles, storage=storage
    )
    canonical: Mapping[str, Any] = {"trialConcurrency": 2, "maxTrialNumber": 6, "tuner": {"name": "TPE"}}
    values: dict[str, Any] = {
        "name": "story",
        "search_space": {},
        "tuner": spec.AlgorithmSpec(name="TPE", class_args={"optimize_mode": "maximize"}),
        "platform": platform,
        "trial_concurrency": 2,
        "max_trial_number": 6,
        "working_directory": "/experiments",
        "canonical": canonical,
    }
    return spec.ExperimentSpec(**{**values, **changes})
