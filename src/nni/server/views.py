"""The state as JSON, in the shapes that NNI's clients know.

Pure functions: state and rows in, plain objects out. Times are milliseconds since the epoch, as NNI has them. What is
the user's own (parameters, metrics) stays JSON text inside strings, so that a NaN in it never spoils an answer.

Beyond NNI a trial has ``submitTime``, ``attempt``, ``job``, ``reason``, ``exitCode``, ``lastLines``, ``metricPath``,
``reportTime`` (when its last metric came) and, asked for by its id, ``replicas``; a metric, where it is asked for, has
``role``, ``index`` and ``attempt``.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from nni.core import model, objectives, ports
from nni.core import spec as specs
from nni.core import state as states
from nni.core import trial as trials
from nni.wire import layout

Json = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What stays the same while a manager runs, for the answers that name it."""

    port: int
    """Of the portal."""
    pid: int
    platform: str
    """``kubeflow`` or ``local``."""
    log_directory: str
    version: str
    url_prefix: str = ""
    """Without slashes at its ends; empty for none."""
    many_at_once: int | None = None
    """Of more trials at once a page asks whether they are meant; None for no number."""
    removal: str = ""
    """The command that removes what may be left of the experiment on its platform; empty where nothing can be."""


def milliseconds(seconds: float) -> int:
    """Return a time as NNI gives it."""
    return int(seconds * 1000)


def name_of_number(value: float) -> str:
    """Return the name of a number that JSON cannot hold."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124 what NaN is


def compact(value: object) -> str:
    """Return JSON text without spaces, as it goes over the wire."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def check_status(state: states.State) -> Json:
    """Return ``check-status``."""
    return {"status": state.status.value, "errors": list(state.errors)}


def profile(state: states.State, about: About, now: float) -> Json:
    """Return ``experiment``: the configuration with the limits that are in force, and how far it is.

    Args:
        state: The experiment.
        about: What stays the same.
        now: Seconds since the epoch.
    """
    answer: Json = {
        "params": params(state),
        "id": state.experiment_id,
        "execDuration": 0 if state.started_at is None else int((state.ended_at or now) - state.started_at),
        "logDir": about.log_directory,
        "nextSequenceId": len(state.trials),
        "revision": state.revision,
    }
    _put_times(answer, state.started_at, state.ended_at)
    return answer


def params(state: states.State) -> Json:
    """Return the configuration with the limits that are in force."""
    known = dict(state.spec.canonical)
    limits, spec = state.limits, state.spec
    if limits.trial_concurrency != spec.trial_concurrency:
        known["trialConcurrency"] = limits.trial_concurrency
    if limits.max_trial_number != spec.max_trial_number:
        known["maxTrialNumber"] = limits.max_trial_number
    if limits.max_experiment_seconds != spec.max_experiment_seconds:
        seconds = limits.max_experiment_seconds
        known["maxExperimentDuration"] = None if seconds is None else f"{seconds}s"
    return {name: value for name, value in known.items() if value is not None}


def metadata(state: states.State, about: About) -> Json:
    """Return ``experiment-metadata``."""
    return {
        "id": state.experiment_id,
        "port": about.port,
        "startTime": "N/A" if state.started_at is None else milliseconds(state.started_at),
        "endTime": "N/A" if state.ended_at is None else milliseconds(state.ended_at),
        "status": state.status.value,
        "platform": about.platform,
        "experimentName": state.spec.name,
        "tag": [],
        "pid": about.pid,
        "webuiUrl": [],
        "logDir": about.log_directory,
        "prefixUrl": about.url_prefix or None,
    }


def job_statistics(state: states.State) -> list[Json]:
    """Return ``job-statistics``: how many trials are in each status that has any."""
    return [
        {"trialJobStatus": status.value, "trialJobNumber": number} for status, number in state.counts.items() if number
    ]


def trial(trial: trials.Trial, chief: model.Replica) -> Json:
    """Return a trial as ``trial-jobs`` lists it.

    Args:
        trial: The trial.
        chief: The replica whose metrics count; its streams are pointed to.
    """
    answer = row(trial)
    if trial.reason is not None:
        answer["message"] = trial.reason.sentence
    if (result := trial.result) is not None:
        answer["finalMetricData"] = [_final(trial, result)]
    if trial.status is model.TrialStatus.FAILED and trial.location:
        who = trial.failed_replica[0] if trial.failed_replica else chief
        below = f"/{trial.attempt}/{who.role}-{who.index}/{layout.STDERR}"
        # A page of the portal shows all streams itself, and has no files below it.
        answer["stderrPath"] = trial.location + ("" if trial.location.endswith(f"/trial/{trial.id}") else below)
    return answer


def history(trial: trials.Trial) -> Json:
    """Return what is known of a trial's attempts, its pods and the events about them."""
    current: Json = {"attempt": trial.attempt, "cause": trial.cause.value, "job": trial.job}
    _put_times(current, trial.started_at, trial.ended_at)
    seen = trial.observation
    return {
        "attempts": [*(_past(one) for one in trial.past), current],
        "pods": pods(trial),
        "events": [_notice(one) for one in seen.notices] if seen else [],
    }


def past(trial: trials.Trial) -> list[Json]:
    """Return why and when each attempt before the current one was."""
    answer: list[Json] = []
    for one in trial.past:
        answer.append(its := {"cause": one.cause.value})
        _put_times(its, one.started_at, one.ended_at)
    return answer


def _past(attempt: trials.PastAttempt) -> Json:
    answer: Json = {"attempt": attempt.number, "cause": attempt.cause.value, "job": attempt.job}
    _put_times(answer, attempt.started_at, attempt.ended_at)
    answer["reason"] = None if attempt.reason is None else reason(attempt.reason)
    answer |= {"exitCode": attempt.exit_code, "lastLines": list(attempt.last_lines)}
    if attempt.result is not None:
        answer |= {"parameters": attempt.result.parameters, "finalValue": attempt.result.value}
    return answer


def pods(trial: trials.Trial) -> list[Json]:
    """Return what is known of the pods of a trial's current attempt."""
    seen = trial.observation.pods if trial.observation else ()
    return [_pod(_ended(one, trial) if trial.is_over else one) for one in seen]


GONE = "Gone"
"""What is shown for the phase of a pod that was not seen to end, though its trial has."""


def _ended(pod: model.Pod, trial: trials.Trial) -> model.Pod:
    """Return a pod of a trial that is over: where its end was not seen, it is what the replica said itself."""
    if pod.phase not in ("Pending", "Running", ""):
        return pod
    known = trial.replicas.get(pod.replica)
    if known is None or known.exit is None:
        return dataclasses.replace(pod, phase=GONE)
    code = known.exit.code
    return dataclasses.replace(pod, phase="Failed" if code else "Succeeded", exit_code=code)


def _pod(pod: model.Pod) -> Json:
    return {
        "name": pod.name,
        "role": pod.replica.role,
        "index": pod.replica.index,
        "phase": pod.phase,
        "node": pod.node,
        "state": pod.state,
        "exitCode": pod.exit_code,
    }


def _notice(notice: model.Notice) -> Json:
    return {
        "about": notice.about,
        "reason": notice.reason,
        "message": notice.message,
        "type": "Warning" if notice.is_warning else "Normal",
        "count": notice.count,
        "lastTime": milliseconds(notice.last_at),
    }


def row(trial: trials.Trial) -> Json:
    """Return what a table shows of a trial."""
    answer: Json = {
        "trialJobId": trial.id,
        "sequenceId": trial.sequence,
        "status": trial.status.value,
        "hyperParameters": _hyper_parameters(trial),
        "submitTime": milliseconds(trial.created_at),
        "attempt": trial.attempt,
        "intermediateCount": trial.intermediate_count,
    }
    _put_times(answer, trial.started_at, trial.ended_at)
    optional: Json = {
        "logPath": trial.location or None,
        "job": trial.job,
        "exitCode": trial.exit_code,
        "lastLines": list(trial.last_lines) or None,
        "metricPath": trial.metric_path,
        "finalValue": trial.shown_value,
        "lastValue": trial.last_value,
        "reportTime": None if trial.reported_at is None else milliseconds(trial.reported_at),
        "reason": None if trial.reason is None else reason(trial.reason),
    }
    answer.update((name, value) for name, value in optional.items() if value is not None)
    return answer


def reason(reason: model.Reason) -> Json:
    """Return why a trial is where it is."""
    return {
        "class": reason.kind.value,
        "sentence": reason.sentence,
        "evidence": reason.evidence,
        "since": milliseconds(reason.since),
        "failsAt": None if reason.fails_after is None else milliseconds(reason.since + reason.fails_after),
    }


def _hyper_parameters(trial: trials.Trial) -> list[str]:
    """Return the parameters of the current attempt, behind those of the result while these are others."""
    sets = [(trial.parameter_id, trial.parameters)]
    if (result := trial.result) is not None and result.parameter_id != trial.parameter_id:
        sets.insert(0, (result.parameter_id, result.parameters))
    return [
        compact(
            {
                "parameter_id": number,
                "parameter_source": "customized" if trial.is_customized else "algorithm",
                "parameters": parameters,
                "parameter_index": index,
            }
        )
        for index, (number, parameters) in enumerate(sets)
    ]


def _parameter_id(trial: trials.Trial, attempt: int) -> int:
    """Return which parameters an attempt had: those of the first result from it on."""
    results = [past.result for past in trial.past if past.result is not None]
    return next((one.parameter_id for one in results if one.attempt >= attempt), trial.parameter_id)


def _final(trial: trials.Trial, result: trials.Result) -> Json:
    """The trial keeps the value; its moment is close to the trial's end, and exact in ``metric-data``."""
    return {
        "timestamp": milliseconds(result.ended_at or trial.created_at),
        "trialJobId": trial.id,
        "parameterId": str(result.parameter_id),
        "type": model.MetricType.FINAL.value,
        "sequence": 0,
        "data": json.dumps(result.metric),
    }


def _put_times(answer: Json, started_at: float | None, ended_at: float | None) -> None:
    if started_at is not None:
        answer["startTime"] = milliseconds(started_at)
    if ended_at is not None:
        answer["endTime"] = milliseconds(ended_at)


def counting(rows: Iterable[ports.MetricRow], state: states.State) -> Iterator[ports.MetricRow]:
    """Yield the metrics that count: the chief replica's, of each trial's current attempt.

    While that attempt goes on from a result, that result counts too.
    """
    for its in rows:
        known = state.trials.get(its.attempt.trial)
        if known is None or its.replica != state.chief:
            continue
        result = known.result if its.metric.type is model.MetricType.FINAL else None
        if its.attempt.number in (known.attempt, result.attempt if result else None):
            yield its


def latest(rows: Iterable[ports.MetricRow]) -> list[ports.MetricRow]:
    """Return all final metrics and the last intermediate one of each trial, in the order of arrival."""
    kept: dict[tuple[object, ...], ports.MetricRow] = {}
    for its in rows:
        key = (its.attempt, its.replica, its.metric.type)
        kept.pop(key, None)
        kept[key] = its
    return list(kept.values())


def metric(row: ports.MetricRow, trial: trials.Trial, *, with_replica: bool = False) -> Json:
    """Return a metric as ``metric-data`` lists it; ``data`` is JSON text of JSON text, as NNI has it.

    Args:
        row: The metric.
        trial: Whose it is.
        with_replica: Whether to say which replica of which attempt it is from.
    """
    answer: Json = {
        "timestamp": milliseconds(row.metric.at),
        "trialJobId": row.attempt.trial,
        "parameterId": str(_parameter_id(trial, row.attempt.number)),
        "type": row.metric.type.value,
        "sequence": row.metric.sequence,
        "data": json.dumps(row.metric.value),
    }
    if with_replica:
        answer |= {"role": row.replica.role, "index": row.replica.index, "attempt": row.attempt.number}
    return answer


def pareto_front(known: Iterable[trials.Trial], spec: specs.ExperimentSpec) -> list[trials.Trial]:
    """Return the trials that no other is better than in all objectives; without several objectives the best ones."""
    optimize = spec.optimize or {"default": "maximize" if spec.maximize else "minimize"}
    points = {}
    by_id = {its.id: its for its in known}
    for its in by_id.values():
        numbers = objectives.numbers(its.result.metric, optimize) if its.result is not None else None
        if numbers is not None:
            points[its.id] = numbers
    return [by_id[trial_id] for trial_id in objectives.front(points, optimize)]


def exported(known: Sequence[trials.Trial], spec: specs.ExperimentSpec) -> list[Json]:
    """Return ``export-data``: the trials with a result; of several objectives, whether each is on the Pareto front."""
    rows = [export(its) for its in known if its.result is not None]
    if len(spec.optimize) > 1:
        front = {its.id for its in pareto_front(known, spec)}
        rows = [row | {"isParetoOptimal": row["trialJobId"] in front} for row in rows]
    return rows


def export(trial: trials.Trial) -> Json:
    """Return a trial's result as ``export-data`` lists it, with the parameters that it is for."""
    result = trial.result
    parameters, metric = (trial.parameters, None) if result is None else (result.parameters, result.metric)
    return {"parameter": parameters, "value": metric, "trialJobId": trial.id}


def replicas(trial: trials.Trial) -> Json:
    """Return what was heard of each replica of a trial's current attempt."""
    return {"replicas": [_replica(who, known) for who, known in sorted(trial.replicas.items())]}


def _replica(who: model.Replica, known: trials.ReplicaRecord) -> Json:
    answer: Json = {"role": who.role, "index": who.index, "metrics": known.received}
    if known.heard_at is not None:
        answer["heardAt"] = milliseconds(known.heard_at)
    if known.exit is not None:
        answer |= {"exitCode": known.exit.code, "stopped": known.exit.stopped, "lastLines": list(known.exit.lines)}
    return answer


def manifest(job: Mapping[str, Any]) -> str:
    """Return a Kubernetes object as YAML, without what the API server notes down for itself."""
    metadata = {name: value for name, value in job.get("metadata", {}).items() if name != "managedFields"}
    return yaml.safe_dump({**job, "metadata": metadata}, sort_keys=False, allow_unicode=True, width=120)
