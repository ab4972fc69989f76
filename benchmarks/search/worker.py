"""Runs tuners on problems, ours and peers' alike; one JSON line for each run that has ended.

A run is ``{"tuner", "problem", "pending", "seed", "evaluations"}``; a line of standard input for each. With ``history``
in it, the tuner is given so many results first, and what its suggestions cost then is measured. This file is run by the
interpreter of the environment that the tuner lives in, so it imports nothing but what is there.
"""

import json
import math
import random
import resource
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.search import problems


class Adapter(Protocol):
    """A tuner under one interface."""

    def ask(self, number: int) -> Mapping[str, Any]: ...

    def tell(self, number: int, parameters: Mapping[str, Any], loss: float) -> None: ...

    def know(self, results: Sequence[tuple[Mapping[str, Any], float]]) -> None:
        """Take in what was found by others, as in a restart or an import."""


class Ours:
    def __init__(self, name: str, space: Mapping[str, Any], seed: int) -> None:
        from nni.core import model, spec
        from nni.core import space as spaces
        from nni.tuners import registry

        self._outcome = model.Outcome
        chosen = spec.AlgorithmSpec(name=name, class_args={"optimize_mode": "minimize", "seed": seed})
        tuner, arguments = registry.arguments_of(chosen)
        self._tuner = tuner.make(spaces.parse(space), arguments)

    def ask(self, number: int) -> Mapping[str, Any]:
        suggested: Mapping[str, Any] = self._tuner.suggest(number)
        return suggested

    def tell(self, number: int, parameters: Mapping[str, Any], loss: float) -> None:
        outcome = self._outcome(
            parameter_id=number, parameters=parameters, value=loss, metric=json.dumps(loss), succeeded=True
        )
        self._tuner.learn(outcome)

    def know(self, results: Sequence[tuple[Mapping[str, Any], float]]) -> None:
        for number, (parameters, loss) in enumerate(results, 1):
            self.tell(-number, parameters, loss)


class Nni:
    """NNI 3.0; its Anneal takes no seed, so that the random state inside it is set."""

    def __init__(self, name: str, space: Mapping[str, Any], seed: int) -> None:
        if name == "TPE":
            from nni.algorithms.hpo.tpe_tuner import TpeTuner

            self._tuner = TpeTuner("minimize", seed)
        else:
            from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner

            self._tuner = HyperoptTuner(name.lower(), "minimize")
        self._tuner.update_search_space(space)
        if name != "TPE":
            import numpy

            self._tuner.rval.rstate = numpy.random.RandomState(seed)

    def ask(self, number: int) -> Mapping[str, Any]:
        suggested: Mapping[str, Any] = self._tuner.generate_multiple_parameters([number])[0]
        return suggested

    def tell(self, number: int, parameters: Mapping[str, Any], loss: float) -> None:
        self._tuner.receive_trial_result(number, parameters, loss)
        self._tuner.trial_end(number, True)

    def know(self, results: Sequence[tuple[Mapping[str, Any], float]]) -> None:
        self._tuner.import_data([{"parameter": parameters, "value": loss} for parameters, loss in results])


class Optuna:
    def __init__(self, name: str, space: Mapping[str, Any], seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = {
            "TPE": optuna.samplers.TPESampler,
            "CMA-ES": optuna.samplers.CmaEsSampler,
            "GPSampler": optuna.samplers.GPSampler,
        }[name](seed=seed)
        self._space = space
        self._study = optuna.create_study(sampler=sampler)
        self._trials: dict[int, Any] = {}

    def ask(self, number: int) -> Mapping[str, Any]:
        trial = self._trials[number] = self._study.ask()
        return self._drawn(trial, self._space, "")

    def _drawn(self, trial: Any, space: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, described in space.items():
            if name == "_name":
                continue
            key, kind, values = prefix + name, described["_type"], described["_value"]
            if kind == "choice":
                option = values[trial.suggest_categorical(key, list(range(len(values))))]
                if isinstance(option, dict):
                    below = f"{key}[{option['_name']}]."
                    option = {"_name": option["_name"], **self._drawn(trial, option, below)}
                made[name] = option
            elif kind == "randint":
                made[name] = trial.suggest_int(key, values[0], values[1] - 1)
            elif kind == "quniform":
                made[name] = trial.suggest_float(key, values[0], values[1], step=values[2])
            else:
                made[name] = trial.suggest_float(key, values[0], values[1], log="log" in kind)
        return made

    def tell(self, number: int, parameters: Mapping[str, Any], loss: float) -> None:
        self._study.tell(self._trials.pop(number), loss)

    def know(self, results: Sequence[tuple[Mapping[str, Any], float]]) -> None:
        import optuna

        described: dict[str, optuna.distributions.BaseDistribution] = {}
        for name, one in self._space.items():
            kind, values = one["_type"], one["_value"]
            if kind == "choice":
                described[name] = optuna.distributions.CategoricalDistribution(range(len(values)))
            elif kind == "randint":
                described[name] = optuna.distributions.IntDistribution(values[0], values[1] - 1)
            elif kind == "quniform":
                described[name] = optuna.distributions.FloatDistribution(values[0], values[1], step=values[2])
            else:
                described[name] = optuna.distributions.FloatDistribution(values[0], values[1], log="log" in kind)
        for parameters, loss in results:
            taken = {
                name: self._space[name]["_value"].index(value) if self._space[name]["_type"] == "choice" else value
                for name, value in parameters.items()
            }
            self._study.add_trial(optuna.trial.create_trial(params=taken, distributions=described, value=loss))


class Hyperopt:
    def __init__(self, name: str, space: Mapping[str, Any], seed: int) -> None:
        import hyperopt
        import numpy

        self._hyperopt = hyperopt
        self._space = {key: self._described(key, value) for key, value in space.items()}
        self._domain = hyperopt.Domain(lambda _: 0.0, self._space)
        self._trials = hyperopt.Trials()
        self._chance = numpy.random.default_rng(seed)
        self._running: dict[int, Any] = {}

    def _described(self, key: str, described: Mapping[str, Any]) -> Any:
        hp, kind, values = self._hyperopt.hp, described["_type"], described["_value"]
        if kind == "choice":
            return hp.choice(key, [self._option(key, option) for option in values])
        if kind == "randint":
            return hp.uniformint(key, values[0], values[1] - 1)
        if kind == "quniform":
            return hp.quniform(key, *values)
        if kind == "loguniform":
            return hp.loguniform(key, math.log(values[0]), math.log(values[1]))
        return hp.uniform(key, *values)

    def _option(self, key: str, option: Any) -> Any:
        if not isinstance(option, dict):
            return option
        below = {
            name: self._described(f"{key}[{option['_name']}].{name}", value)
            for name, value in option.items()
            if name != "_name"
        }
        return {"_name": option["_name"], **below}

    def ask(self, number: int) -> Mapping[str, Any]:
        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        seed = int(self._chance.integers(2**31 - 1))
        document = self._hyperopt.tpe.suggest(ids, self._domain, self._trials, seed)[0]
        document["state"] = self._hyperopt.JOB_STATE_RUNNING
        self._trials.insert_trial_docs([document])
        self._trials.refresh()
        self._running[number] = self._trials._dynamic_trials[-1]
        values = {key: value[0] for key, value in document["misc"]["vals"].items() if value}
        made: Mapping[str, Any] = self._hyperopt.space_eval(self._space, values)
        return made

    def tell(self, number: int, parameters: Mapping[str, Any], loss: float) -> None:
        document = self._running.pop(number)
        document["result"] = {"loss": loss, "status": "ok"}
        document["state"] = self._hyperopt.JOB_STATE_DONE
        self._trials.refresh()

    def know(self, results: Sequence[tuple[Mapping[str, Any], float]]) -> None:
        raise NotImplementedError("its trials cannot be brought from elsewhere")


ADAPTERS: Mapping[str, Callable[[str, Mapping[str, Any], int], Adapter]] = {
    "ours": Ours,
    "nni": Nni,
    "optuna": Optuna,
    "optuna-gp": Optuna,
    "hyperopt": Hyperopt,
}


def run(wanted: Mapping[str, Any], problem: problems.Problem) -> Mapping[str, Any]:
    """Return a run with its regrets and the CPU time of each suggestion, telling included."""
    owner, _, name = wanted["tuner"].partition(" ")
    tuner: Adapter = ADAPTERS[owner](name, problem.space, wanted["seed"])
    true = getattr(problem.loss, "true", problem.loss)
    running: list[tuple[int, Mapping[str, Any]]] = []
    regrets: list[float] = []
    seconds: list[float] = []
    asked = 0
    while len(regrets) < wanted["evaluations"]:
        spent = time.process_time()
        while len(running) < max(1, wanted["pending"]):
            running.append((asked, tuner.ask(asked)))
            asked += 1
        number, parameters = running.pop(0)
        spent = time.process_time() - spent
        loss = problem.loss(parameters)
        regrets.append(true(parameters) - problem.least)
        before = time.process_time()
        tuner.tell(number, parameters, loss)
        seconds.append(spent + time.process_time() - before)
    return {**wanted, "regrets": regrets, "milliseconds": [round(one * 1000, 3) for one in seconds]}


def cost(wanted: Mapping[str, Any], problem: problems.Problem) -> Mapping[str, Any]:
    """Return a run with what suggestions cost after so many results: CPU time of each, of taking them in, memory."""
    owner, _, name = wanted["tuner"].partition(" ")
    chance = random.Random(wanted["seed"])
    drawn = [_drawn(problem.space, chance) for _ in range(wanted["history"])]
    results = [(parameters, float(problem.loss(parameters))) for parameters in drawn]
    before = time.process_time()
    tuner: Adapter = ADAPTERS[owner](name, problem.space, wanted["seed"])
    tuner.know(results)
    restored = time.process_time() - before
    spent = []
    for number in range(wanted["evaluations"]):
        before = time.process_time()
        parameters = tuner.ask(number)
        asked = time.process_time() - before
        loss = problem.loss(parameters)
        before = time.process_time()
        tuner.tell(number, parameters, loss)
        spent.append(asked + time.process_time() - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**wanted, "milliseconds": [one * 1000 for one in spent], "restored": restored, "megabytes": peak}


def _drawn(space: Mapping[str, Any], chance: random.Random) -> Mapping[str, Any]:
    """Return random parameters of a space without conditions."""
    made: dict[str, Any] = {}
    for name, described in space.items():
        kind, values = described["_type"], described["_value"]
        if kind == "choice":
            made[name] = chance.choice(values)
        elif kind == "randint":
            made[name] = chance.randrange(*values)
        elif kind == "quniform":
            low, high, step = values
            made[name] = low + step * chance.randrange(int((high - low) / step) + 1)
        elif kind == "loguniform":
            made[name] = math.exp(chance.uniform(math.log(values[0]), math.log(values[1])))
        else:
            made[name] = chance.uniform(*values)
    return made


def main() -> int:
    """Run what standard input asks for; the argument is the file of the training tables."""
    warnings.simplefilter("ignore")
    known = [*problems.REPORT, *problems.DESIGN, *problems.ROBUSTNESS]
    tables = Path(sys.argv[1])
    if tables.exists():
        known += problems.trained(tables)
    by_name = {problem.name: problem for problem in known}
    for line in sys.stdin:
        wanted = json.loads(line)
        do = cost if "history" in wanted else run
        print(json.dumps(do(wanted, by_name[wanted["problem"]])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
