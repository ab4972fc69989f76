"""When a trial is tried again, and what a new attempt begins with.

An ending that the cluster or the machine brought about costs the user no trial: the same parameters get a new attempt.
What the trial's own code brought about is tried again only where the user asked for that. A trial that has ended well
goes on in another attempt where the tuner promotes it.
"""

import dataclasses

from nni.core import model
from nni.core.trial import PastAttempt, Step, Trial

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0


def cause_of_next(trial: Trial, *, retries: int, infrastructure_retries: int) -> model.AttemptCause | None:
    """Return why another attempt follows on one that has been concluded; None when the trial ends with it."""
    if trial.status is not model.TrialStatus.FAILED or trial.reason is None:
        return None
    causes = _causes(trial)
    if trial.reason.kind is model.ReasonClass.INFRASTRUCTURE:
        used = causes.count(model.AttemptCause.INFRASTRUCTURE)
        return model.AttemptCause.INFRASTRUCTURE if used < infrastructure_retries else None
    if trial.reason.kind is model.ReasonClass.USER:
        used = causes.count(model.AttemptCause.FAILURE)
        return model.AttemptCause.FAILURE if used < retries else None
    return None


def _causes(trial: Trial) -> list[model.AttemptCause]:
    """Return the causes of the attempts since the last promotion: each budget has retries of its own."""
    causes = [past.cause for past in trial.past] + [trial.cause]
    promotions = [place for place, cause in enumerate(causes) if cause is model.AttemptCause.PROMOTION]
    return causes[promotions[-1] :] if promotions else causes


def pause_before_next(trial: Trial, cause: model.AttemptCause) -> float:
    """Return the seconds between an attempt's end and the next one: none for the first, then more and more."""
    before = _causes(trial).count(cause)
    return min(FIRST_PAUSE_SECONDS * 4 ** min(before - 1, 8), LONGEST_PAUSE_SECONDS) if before else 0.0


def renewed(trial: Trial, cause: model.AttemptCause) -> Trial:
    """Return a concluded trial with an attempt more, of which nothing is known yet."""
    why = trial.reason.sentence if trial.reason else "it ended"
    reason = model.Reason(
        kind=model.ReasonClass.INFRASTRUCTURE if cause is model.AttemptCause.INFRASTRUCTURE else model.ReasonClass.USER,
        sentence=f"Attempt {trial.attempt + 1} follows, because attempt {trial.attempt} failed: {why}",
        evidence=trial.reason.evidence if trial.reason else "",
        since=_ended_at(trial),
    )
    return dataclasses.replace(_next(trial, cause), reason=reason)


def may_be_promoted(trial: Trial) -> bool:
    """Return whether a trial can go on: it has come to its end by itself, and well."""
    return trial.is_over and trial.status is model.TrialStatus.SUCCEEDED


def promoted(trial: Trial, parameter_id: int, parameters: model.Parameters) -> Trial:
    """Return a trial that ended well with an attempt more, which has other parameters and its checkpoints."""
    following = _next(trial, model.AttemptCause.PROMOTION)
    return dataclasses.replace(following, parameter_id=parameter_id, parameters=parameters)


def _next(trial: Trial, cause: model.AttemptCause) -> Trial:
    past = PastAttempt(
        number=trial.attempt,
        cause=trial.cause,
        job=trial.job,
        started_at=trial.started_at,
        ended_at=_ended_at(trial),
        reason=trial.reason,
        exit_code=trial.exit_code,
        last_lines=trial.last_lines,
        result=trial.result if cause is model.AttemptCause.PROMOTION else None,
    )
    return Trial(
        id=trial.id,
        sequence=trial.sequence,
        parameter_id=trial.parameter_id,
        parameters=trial.parameters,
        created_at=trial.created_at,
        attempt=trial.attempt + 1,
        cause=cause,
        past=(*trial.past, past),
        location=trial.location,
        step=Step.PROPOSED,
    )


def _ended_at(trial: Trial) -> float:
    return trial.ended_at or trial.created_at
