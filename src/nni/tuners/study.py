"""Optuna's samplers as tuners: asks and tells a study in memory."""

from collections.abc import Callable, Mapping

import optuna

from nni.core import model, objectives
from nni.core.dimension import Space
from nni.tuners import novelty, points

_TRIES = 5
_FAILURES_EACH = 9
"""So many failed trials for each successful one are told: of more, TPE would take some for good, the best tenth."""


class Study:
    """See ``algorithm.Algorithm``."""

    def __init__(
        self,
        space: Space,
        make_sampler: Callable[[int | None], optuna.samplers.BaseSampler],
        *,
        optimize: objectives.Objectives,
        seed: int | None,
        generation_key: str | None = None,
    ) -> None:
        """Take the space and the sampler that looks for the optimum.

        Args:
            space: The search space.
            make_sampler: Makes it for a seed.
            optimize: What is better.
            seed: Of the sampler, and of what it does not fix: which points are taken when only a few are left.
            generation_key: The system attribute in which the sampler counts generations, where it does: a trial that
                it did not propose is put into the next one whose children are to come.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._optimize = space, optimize
        self._make_sampler = make_sampler
        self._study = optuna.create_study(directions=list(optimize.values()), sampler=make_sampler(seed))
        self._running: dict[int, optuna.Trial] = {}
        self._novelty = novelty.Novelty(space, seed)
        self._successes = self._failures = 0
        self._generation = {generation_key: 0} if generation_key else {}

    def suggest(self, parameter_id: int) -> model.Parameters:
        """See ``algorithm.Algorithm``."""
        if (seed := self._novelty.new_seed()) is not None:
            self._study.sampler = self._make_sampler(seed)
        self._running[parameter_id], parameters = self._new() or self._left() or self._ask()
        return parameters

    def remind(self, parameter_id: int, parameters: model.Parameters) -> None:
        """See ``algorithm.Reminded``."""
        self._novelty.take_others(parameters)
        # One that counts generations takes no running trials into account, and such a one would be in none.
        numbers = None if self._generation else points.locate(self._space, parameters)
        if numbers is not None:
            self._running[parameter_id], _ = self._ask_for(numbers)

    def learn(self, outcome: model.Outcome) -> None:
        """See ``algorithm.Algorithm``."""
        values = objectives.values(outcome, self._optimize)
        state = self._state(is_good=values is not None)
        trial = self._running.pop(outcome.parameter_id, None)
        if trial is not None:
            told = self._study.tell(trial, values, state)
            # The parents of those that run have been chosen.
            self._generation = {
                key: max(own, told.system_attrs.get(key, 0) + 1) for key, own in self._generation.items()
            }
            return
        self._novelty.take_others(outcome.parameters)
        numbers = points.locate(self._space, outcome.parameters)
        if numbers is not None:
            distributions = {key: _distribution(domain) for key, (domain, _) in numbers.items()}
            params = {key: number for key, (_, number) in numbers.items()}
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    values=values,
                    params=params,
                    distributions=distributions,
                    system_attrs=self._generation,
                )
            )

    def _state(self, *, is_good: bool) -> optuna.trial.TrialState:
        """Return what a trial is to Optuna: a pruned one without a value is worse than all that are complete.

        A failed one would be passed over, and what is near it tried again and again.
        """
        if is_good:
            self._successes += 1
            return optuna.trial.TrialState.COMPLETE
        if self._failures < _FAILURES_EACH * self._successes:
            self._failures += 1
            return optuna.trial.TrialState.PRUNED
        return optuna.trial.TrialState.FAIL

    def _new(self) -> tuple[optuna.Trial, model.Parameters] | None:
        """Return what was never proposed, None when the sampler insists on what was."""
        for _ in range(_TRIES):
            trial, parameters = self._ask()
            if self._novelty.take(parameters):
                return trial, parameters
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return None

    def _left(self) -> tuple[optuna.Trial, model.Parameters] | None:
        """Return what is new without asking the sampler, None where that is hard to find."""
        parameters = self._novelty.left()
        if parameters is None:
            return None
        return self._ask_for(points.locate(self._space, parameters) or {})

    def _ask_for(
        self, numbers: Mapping[str, tuple[points.Domain, points.Number]]
    ) -> tuple[optuna.Trial, model.Parameters]:
        self._study.enqueue_trial({key: number for key, (_, number) in numbers.items()})
        return self._ask()

    def _ask(self) -> tuple[optuna.Trial, model.Parameters]:
        trial = self._study.ask()

        def take(key: str, domain: points.Domain) -> points.Number:
            match domain:
                case points.Categories(size):
                    return trial.suggest_categorical(key, range(size))
                case points.Integers(low, high):
                    return trial.suggest_int(key, low, high)
                case points.Reals(low, high, is_log):
                    return trial.suggest_float(key, low, high, log=is_log)

        return trial, points.draw(self._space, take)


def _distribution(domain: points.Domain) -> optuna.distributions.BaseDistribution:
    match domain:
        case points.Categories(size):
            return optuna.distributions.CategoricalDistribution(range(size))
        case points.Integers(low, high):
            return optuna.distributions.IntDistribution(low, high)
        case points.Reals(low, high, is_log):
            return optuna.distributions.FloatDistribution(low, high, log=is_log)
