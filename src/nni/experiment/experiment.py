"""The blocking facade: describe an experiment, start it, follow it, read it, stop it."""

import atexit
import contextlib
import enum
import random
import re
import string
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nni import check, errors
from nni.config import experiment as configs
from nni.core import objectives
from nni.experiment import client, data, launch, progress, stopping
from nni.records import description, registry

_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")

STOP_SECONDS = 120.0
"""How long a stop may take: grace periods of running trials, then clean-up."""


class RunMode(enum.Enum):
    """What becomes of the manager when this program ends."""

    Background = "background"
    """It stops the experiment and ends."""
    Foreground = "foreground"
    """The same; its log is shown."""
    Detach = "detach"
    """It goes on; ``Experiment.connect`` and ``nnictl`` find it again."""


class Experiment:
    """One experiment, from its configuration to its results.

    Example:
        >>> experiment = Experiment("local")
        >>> experiment.config.trial_command = "python3 model.py"
        >>> experiment.config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
        >>> experiment.config.tuner.name = "TPE"
        >>> experiment.config.trial_concurrency = 2
        >>> experiment.config.max_trial_number = 10
        >>> experiment.run(8080)
    """

    def __init__(
        self,
        config_or_platform: configs.ExperimentConfig | str | None = None,
        id: str | None = None,  # noqa: A002 NNI's name
    ) -> None:
        """Prepare an experiment; nothing starts yet.

        Args:
            config_or_platform: A whole configuration, or the name of a platform (``kubeflow``, ``local``) for an
                empty one, to be filled through ``config``.
            id: 1 to 32 letters, digits, ``-`` and ``_``; made up when None.

        Raises:
            ConfigError: There is no such platform, or that can be no id.
        """
        if id is not None and _ID.fullmatch(id) is None:
            message = f"{id!r} cannot be an experiment's id; write 1 to 32 letters, digits, '-' and '_'"
            raise errors.ConfigError([errors.Problem("id", message)])
        if isinstance(config_or_platform, configs.ExperimentConfig):
            self.config = config_or_platform
        else:
            self.config = configs.ExperimentConfig(config_or_platform)
        self.id = id or new_id()
        self.port: int | None = None
        self.url_prefix: str | None = None
        self._running: launch.Running | None = None
        self._client: client.Client | None = None

    def start(self, port: int = 8080, debug: bool = False, run_mode: RunMode = RunMode.Background) -> None:
        """Start the experiment and return once its portal answers.

        Args:
            port: The portal's; trials report to the next one.
            debug: Write a detailed log.
            run_mode: What becomes of it when this program ends.

        Raises:
            PortInUseError: One of the two ports is taken.
            ConfigError: The configuration has mistakes; all of them are named.
            ManagerError: The manager could not start.
        """
        self._start(port, debug, run_mode, is_resumed=False)

    def _start(self, port: int, debug: bool, run_mode: RunMode, *, is_resumed: bool) -> None:
        launch.check_ports(port)
        launch.check_prefix(self.url_prefix)
        if debug:
            self.config.debug = True
        spec = check.checked(self.config, is_begun=is_resumed)
        directory = Path(spec.working_directory) / self.id
        progress.say(f"Experiment {self.id} in {directory}")
        self._running = launch.launch(
            spec.canonical,
            experiment_id=self.id,
            directory=directory,
            port=port,
            url_prefix=self.url_prefix,
            is_attached=run_mode is not RunMode.Detach,
            say=progress.say,
            is_resumed=is_resumed,
        )
        self.port = port
        self._client = client.Client(url=self._running.url, token=self._running.token)
        if run_mode is not RunMode.Detach:
            atexit.register(self.stop)
        progress.say(f"Portal: {self._running.link}")

    def run(self, port: int = 8080, wait_completion: bool = True, debug: bool = False) -> bool | None:
        """Start the experiment and wait until it is done, showing how far it is.

        It stops with Ctrl-C. Its portal stays up until ``stop``, or the end of this program.

        Args:
            port: The portal's; trials report to the next one.
            wait_completion: False to return at once.
            debug: Write a detailed log.

        Returns:
            True when it came to its end, False when it ended with an error, None when it was not waited for.

        Raises:
            PortInUseError, ConfigError, ManagerError: As ``start``.
        """
        self.start(port, debug)
        return self._follow() if wait_completion else None

    def resume(
        self,
        port: int | None = None,
        wait_completion: bool = True,
        debug: bool = False,
        run_mode: RunMode = RunMode.Background,
    ) -> bool | None:
        """Go on with the experiment of this id, which has ended on this machine, and wait until it is done.

        It goes on with the configuration and the trials' code that it was started with and all that was changed since
        by requests; trials that ended, the stopped ones among them, stay as they are.

        Args:
            port: The portal's; trials report to the next one. The one that it had when None: trials that still run,
                since the manager was killed, report there.
            wait_completion: False to return at once.
            debug: Write a detailed log.
            run_mode: What becomes of it when this program ends.

        Returns:
            As ``run``.

        Raises:
            ExperimentNotFoundError: This machine knows of no such experiment.
            RecordsError: What it was started with is not there any more.
            ManagerError: It still runs, or could not start.
            PortInUseError, ConfigError: As ``start``.
        """
        known = registry.Registry(registry.default_directory()).read(self.id)
        if known.is_alive:
            raise errors.ManagerError(f"Experiment {known.id} runs; there is nothing to resume.")
        self.config = configs.ExperimentConfig.from_dict(description.read(known.directory))
        self.url_prefix = known.url_prefix
        self._start(known.port if port is None else port, debug, run_mode, is_resumed=True)
        return self._follow() if wait_completion else None

    def _follow(self) -> bool:
        try:
            status = progress.follow(self._connected)
        except KeyboardInterrupt:
            progress.say("Stopping (Ctrl-C again to stop without waiting for the platform) ...")
            self.stop()
            raise
        for line in self.get_errors():
            progress.say(f"Error: {line}")
        tuner = self.config.tuner if self.config.tuner.is_set else self.config.advisor
        objective = objectives.primary(tuner.class_args)
        maximize = objectives.is_maximized(tuner, self.config.assessor)
        progress.summarize(self.list_trial_jobs(), objective, maximize=maximize)
        return status != "ERROR"

    def stop(self) -> None:
        """Stop the experiment: trials end, jobs are removed, the manager ends. Nothing happens when it has stopped."""
        atexit.unregister(self.stop)
        known, self._client = self._client, None
        running, self._running = self._running, None
        if known is not None:
            with contextlib.suppress(errors.ManagerUnreachableError):
                known.delete("experiment")
                try:
                    stopping.follow(known, progress.say, "Ctrl-C stops without the cluster.")
                except KeyboardInterrupt:
                    stopping.force(known)
        if running is not None:
            _join(running.process)
            self._say_what_is_left()

    def _say_what_is_left(self) -> None:
        with contextlib.suppress(errors.ExperimentNotFoundError):
            left = registry.Registry(registry.default_directory()).read(self.id).left
            if left:
                progress.say(left)

    @classmethod
    def connect(cls, port: int) -> "Experiment":
        """Return the experiment whose portal has this port on this machine.

        Raises:
            ExperimentNotFoundError: There is none.
        """
        for known in registry.Registry(registry.default_directory()).list():
            if known.port == port and known.is_alive:
                return cls._of(known)
        raise errors.ExperimentNotFoundError(f"No experiment runs on port {port} of this machine.")

    @classmethod
    def _of(cls, known: registry.Known) -> "Experiment":
        experiment = cls(id=known.id)
        experiment.port = known.port
        experiment.url_prefix = known.url_prefix
        experiment._client = client.of(known)
        profile = experiment.get_experiment_profile()
        experiment.config = configs.ExperimentConfig.from_dict(profile["params"])
        return experiment

    @property
    def _connected(self) -> client.Client:
        if self._client is None:
            raise errors.ManagerUnreachableError(f"Experiment {self.id} is not running; start() it first.")
        return self._client

    def get_status(self) -> str:
        """Return the experiment's status: RUNNING, DONE, ERROR ..."""
        return str(self._connected.get("check-status")["status"])

    def get_errors(self) -> list[str]:
        """Return what went wrong with the experiment as a whole, a sentence each."""
        return list(self._connected.get("check-status")["errors"])

    def get_trial_job(self, trial_job_id: str) -> data.TrialJob:
        """Return one trial.

        Raises:
            RequestRefusedError: There is no such trial.
        """
        return data.TrialJob.from_json(self._connected.get(f"trial-jobs/{trial_job_id}"))

    def list_trial_jobs(self) -> list[data.TrialJob]:
        """Return all trials in the order in which they were made."""
        return [data.TrialJob.from_json(one) for one in self._connected.get("trial-jobs")]

    def get_job_statistics(self) -> list[Mapping[str, Any]]:
        """Return how many trials have which status."""
        return list(self._connected.get("job-statistics"))

    def get_job_metrics(self, trial_job_id: str | None = None) -> dict[str, list[data.TrialMetricData]]:
        """Return the metrics of one trial or of all, by trial, in the order of their arrival."""
        metrics: dict[str, list[data.TrialMetricData]] = {}
        for one in self._connected.get(f"metric-data/{trial_job_id}" if trial_job_id else "metric-data"):
            metric = data.TrialMetricData.from_json(one)
            metrics.setdefault(metric.trialJobId, []).append(metric)
        return metrics

    def get_experiment_profile(self) -> dict[str, Any]:
        """Return the configuration and the times of the experiment."""
        return dict(self._connected.get("experiment"))

    def export_data(self) -> list[data.TrialResult]:
        """Return the parameters and the final metric of every succeeded trial."""
        return [data.TrialResult.from_json(one) for one in self._connected.get("export-data")]

    def kill_trial_job(self, trial_job_id: str) -> None:
        """Stop a trial."""
        self._connected.delete(f"trial-jobs/{trial_job_id}")

    def update_trial_concurrency(self, value: int) -> None:
        """Change how many trials may run at once."""
        self._update("TRIAL_CONCURRENCY", "trialConcurrency", value)

    def update_max_trial_number(self, value: int) -> None:
        """Change how many trials there may be; a higher number opens a finished experiment again."""
        self._update("MAX_TRIAL_NUM", "maxTrialNumber", value)

    def update_max_experiment_duration(self, value: str | int) -> None:
        """Change how long trials may be added: seconds, or a text like ``2h``."""
        self._update("MAX_EXEC_DURATION", "maxExperimentDuration", value)

    def update_search_space(self, value: Mapping[str, Any]) -> None:
        """Change the search space: trials that are there stay, and the tuner learns from those that fit."""
        self._update("SEARCH_SPACE", "searchSpace", value)

    def resume_tuner(self) -> None:
        """Go on with an experiment whose tuner or assessor failed, once its code is mended: both are begun anew.

        Raises:
            RequestRefusedError: Nothing failed, or it fails again at once; the message says how.
        """
        self._connected.post("experiment/resume", {})

    def _update(self, kind: str, name: str, value: object) -> None:
        profile = self.get_experiment_profile()
        profile["params"][name] = value
        self._connected.put(f"experiment?update_type={kind}", profile)


def new_id() -> str:
    """Return a random experiment id: 8 lower-case letters and digits, a letter first."""
    draw = random.SystemRandom()
    return draw.choice(string.ascii_lowercase) + "".join(draw.choices(string.ascii_lowercase + string.digits, k=7))


def _join(process: subprocess.Popen[bytes]) -> None:
    """Wait for a manager that was told to stop."""
    if process.stdin is not None and not process.stdin.closed:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        print("The manager did not stop in time and was killed; jobs may be left.", file=sys.stderr)  # noqa: T201
    if process.stdout is not None:
        process.stdout.close()
