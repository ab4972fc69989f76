"""What a request to change a running experiment's limits asks for."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from nni import errors
from nni.core import event, plain, spec, units
from nni.core import state as states

CheckSpace = Callable[[object], Sequence[errors.Problem]]
"""Returns what keeps an experiment from going on with another search space."""


def parse(
    update_type: str | None, profile: object, current: states.Limits, check_space: CheckSpace
) -> event.LimitsChanged | event.SearchSpaceChanged:
    """Return the change that ``PUT experiment?update_type=...`` asks for.

    Args:
        update_type: ``TRIAL_CONCURRENCY``, ``MAX_TRIAL_NUM``, ``MAX_EXEC_DURATION`` or ``SEARCH_SPACE``.
        profile: The experiment's profile as ``GET experiment`` gives it; only the field that is to change is read.
        current: The limits now.
        check_space: Looks at a search space before it is taken.

    Raises:
        ValueError: The request makes no sense; the message is for the user: a sentence, or one for each mistake in a
            search space.
    """
    params = _params(profile)
    wanted: dict[str, Any] = {
        "trial_concurrency": current.trial_concurrency,
        "max_trial_number": current.max_trial_number,
        "max_experiment_seconds": current.max_experiment_seconds,
    }
    match update_type:
        case "TRIAL_CONCURRENCY":
            wanted["trial_concurrency"] = _concurrency(params.get("trialConcurrency"))
        case "MAX_TRIAL_NUM":
            wanted["max_trial_number"] = _count("maxTrialNumber", params.get("maxTrialNumber"))
        case "MAX_EXEC_DURATION":
            wanted["max_experiment_seconds"] = _seconds("maxExperimentDuration", params.get("maxExperimentDuration"))
        case "SEARCH_SPACE":
            return event.SearchSpaceChanged(search_space=_space(params.get("searchSpace"), check_space))
        case _:
            raise ValueError(
                f"update_type={update_type} cannot be changed while the experiment runs; "
                "TRIAL_CONCURRENCY, MAX_TRIAL_NUM, MAX_EXEC_DURATION and SEARCH_SPACE can."
            )
    return event.LimitsChanged(**wanted)


def unpaused(state: states.State) -> event.LimitsChanged:
    """Return the change that ends a pause: as many trials run at once as before it."""
    return event.LimitsChanged(
        trial_concurrency=state.usual_concurrency,
        max_trial_number=state.limits.max_trial_number,
        max_experiment_seconds=state.limits.max_experiment_seconds,
    )


def parse_import(data: object) -> event.ResultsImported:
    """Return the results that ``POST experiment/import-data`` brings.

    Args:
        data: ``[{"parameter": {...}, "value": ...}, ...]``; the value is a metric, or JSON text as in ``export-data``.

    Raises:
        ValueError: They make no sense; the message is one sentence for the user.
    """
    if not isinstance(data, list):
        raise ValueError('The body is not a list; send [{"parameter": {...}, "value": 0.5}, ...].')  # noqa: TRY004 said so to the user
    results = []
    for place, one in enumerate(data):
        if not isinstance(one, dict) or not isinstance(one.get("parameter"), dict) or "value" not in one:
            raise ValueError(f'The result at place {place} is not {{"parameter": {{...}}, "value": ...}}.')
        if (fault := plain.fault(one["parameter"])) is not None:
            raise ValueError(f"The result at place {place} cannot have these parameters: {fault}.")
        value = one["value"]
        # export-data has the metric as JSON text already.
        metric = value if isinstance(value, str) else json.dumps(value)
        results.append(event.ResultImported(parameters=one["parameter"], metric=metric))
    return event.ResultsImported(results=tuple(results))


def _params(profile: object) -> dict[str, Any]:
    params = profile.get("params") if isinstance(profile, dict) else None
    if isinstance(params, dict):
        return params
    raise ValueError('The body has no "params"; send the profile that GET experiment gives, with the change in it.')


def _concurrency(value: object) -> int:
    """Return a number of trials at once; none at all is how an experiment pauses."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= spec.MOST_AT_ONCE:
        return value
    right = f"a whole number up to {spec.MOST_AT_ONCE}, 0 to pause"
    if value is None:
        raise ValueError(f"params.trialConcurrency is empty; write {right}.")
    raise ValueError(f"params.trialConcurrency must be {right}, not {plain.shown(value)}.")


def _space(value: object, check_space: CheckSpace) -> dict[str, Any]:
    if problems := check_space(value):
        raise errors.ConfigError(problems)
    plain_space: dict[str, Any] = plain.of(value)
    return plain_space


def _count(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= spec.MOST_TRIALS:
        return value
    raise ValueError(
        f"params.{name} must be a whole number from 1 to {spec.MOST_TRIALS}, or null, not {plain.shown(value)}."
    )


def _seconds(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        sentence = f"params.{name}: {plain.shown(value)} is not a duration; write {units.DURATION_EXAMPLES}."
        raise ValueError(sentence)  # noqa: TRY004 said so to the user
    try:
        return units.parse_duration(value)
    except ValueError as error:
        raise ValueError(f"params.{name}: {error}.") from error
