"""The configuration of a whole experiment."""

import dataclasses
from pathlib import Path
from typing import Any, Self

from nni import errors
from nni.config import algorithm, base, files, freezing, legacy, service

_ALGORITHM = base.holds(algorithm.AlgorithmConfig, algorithm.make)


class ExperimentConfig(base.Config):
    """An experiment: what is tuned, by which tuner, on which platform, how much and how long.

    Fields can be set one by one, or given to the constructor, or loaded from YAML; the last two ignore case and
    underscores in names, so that NNI's ``trialConcurrency`` is ``trial_concurrency``.

    Example:
        >>> config = ExperimentConfig("local")
        >>> config.trial_command = "python3 model.py"
        >>> config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
        >>> config.tuner.name = "TPE"
        >>> config.trial_concurrency = 2
    """

    experiment_name: str | None = None
    experiment_type: str = "hpo"
    """``hpo`` is the only one."""
    search_space_file: base.AnyPath | None = None
    """JSON or YAML; not read when ``search_space`` is set."""
    search_space: Any = None
    """``{name: {"_type": ..., "_value": [...]}}``; see ``nni.core.space``."""
    initial_parameters: list[Any] | None = None
    """Parameters known to be good: tried first, each as a trial gets it."""
    trial_command: str | None = None
    """What a trial runs, by ``sh -c``, exactly as written."""
    trial_code_directory: base.AnyPath = "."
    """Where it runs; shipped to the pods with all that is in it."""
    trial_concurrency: int = base.REQUIRED
    """How many trials may run at once."""
    trial_gpu_number: int | None = None
    max_experiment_duration: str | int | None = None
    """Seconds, or ``90s``, ``1h 30m``, ``1.5h``, ``2d``; after it no trial is added. Unlimited when unset."""
    max_trial_number: int | None = None
    """Unlimited when unset."""
    max_trial_duration: str | int | None = None
    """As ``max_experiment_duration``; a trial that runs longer is stopped."""
    max_trial_retries: int | None = None
    """New attempts of a trial whose own code failed; none when unset. What the cluster ends is tried again anyway."""
    nni_manager_ip: str | None = None
    """Address of this machine that pods call back; found out when unset."""
    use_annotation: bool = False
    debug: bool = False
    """Write a detailed log."""
    log_level: str | None = None
    """``trace``, ``debug``, ``info``, ``warning``, ``error`` or ``fatal``; ``debug`` or ``info`` when unset."""
    experiment_working_directory: base.AnyPath = "~/nni-experiments"
    """A directory of the experiment's own is made in it."""
    tuner_gpu_indices: list[int] | int | str | None = None
    tuner: algorithm.AlgorithmConfig = dataclasses.field(default_factory=algorithm.placeholder, metadata=_ALGORITHM)
    assessor: algorithm.AlgorithmConfig = dataclasses.field(default_factory=algorithm.placeholder, metadata=_ALGORITHM)
    advisor: algorithm.AlgorithmConfig = dataclasses.field(default_factory=algorithm.placeholder, metadata=_ALGORITHM)
    """Deprecated in NNI; read as ``tuner``. Where neither is set the tuner is Auto."""
    # Any, so that a type checker lets users set the fields of the platform that they have chosen by its name.
    training_service: Any = dataclasses.field(default=None, metadata={"make": service.make})
    """``KubeflowConfig`` or ``LocalConfig``."""
    shared_storage: Any = None
    operator: str | None = None
    """The same as ``training_service.operator`` (kubeflow alone)."""
    api_version: str | None = None
    """The same as ``training_service.api_version`` (kubeflow alone)."""

    _elsewhere = service.elsewhere()

    def __init__(self, training_service_platform: str | list[str] | None = None, **values: Any) -> None:
        """Prepare a configuration.

        Args:
            training_service_platform: ``kubeflow`` or ``local``: makes an empty ``training_service`` of that kind.
            values: Fields.

        Raises:
            ConfigError: There is no such platform.
            UnknownFieldError: There is no such field.
        """
        super().__init__(**values)
        if training_service_platform is not None:
            if self.training_service is not None:
                message = "is given twice: by its name and as training_service; keep one of the two"
                raise errors.ConfigError([errors.Problem("training_service", message)])
            self.training_service = service.new(training_service_platform)

    @classmethod
    def load(cls, path: base.AnyPath) -> Self:
        """Return the experiment that a YAML file of NNI's version 2 describes.

        Relative paths in it start at its directory. Unknown names in it raise nothing here: ``validate`` names them
        together with all other mistakes.

        Raises:
            ConfigError: The file cannot be read, is not YAML with a mapping in it, or is of NNI's version 1; then
                it is said of each key what became of it.
        """
        file = Path(path)
        values = files.read_mapping(file)
        if legacy.is_legacy(values):
            raise errors.ConfigError(legacy.problems(file, values))
        return cls.from_dict(values, file.parent.resolve())

    def validate(self) -> None:
        """Return if the experiment can be started, as far as the configuration alone tells.

        Raises:
            ConfigError: There are mistakes; all of them are named.
        """
        freezing.freeze(self)

    def complete(self) -> None:
        """See the base class."""
        super().complete()
        if self.search_space is None and self.search_space_file is not None:
            self.search_space = files.read_search_space(Path(self.search_space_file))
        self.log_level = self.log_level or ("debug" if self.debug else "info")
        if self.advisor.is_set and not self.tuner.is_set:
            self.tuner, self.advisor = self.advisor, algorithm.placeholder()
        if not self.tuner.is_set:
            self.tuner = algorithm.AlgorithmConfig(name=freezing.DEFAULT_TUNER, class_args={})
        if isinstance(self.training_service, service.TrainingServiceConfig):
            self._complete(self.training_service)

    def _complete(self, target: service.TrainingServiceConfig) -> None:
        """Copy to the platform what it has not set itself."""
        for name in ("trial_command", "trial_code_directory", "trial_gpu_number", "nni_manager_ip", "debug"):
            if getattr(target, name) is None:
                setattr(target, name, getattr(self, name))
        if isinstance(target, service.KubeflowConfig):
            target.trial_command = target.trial_command or ""
            target.operator, self.operator = target.operator or self.operator, None
            target.api_version, self.api_version = target.api_version or self.api_version, None
        else:
            target.nni_manager_ip = None

    def _converted(self, field: "dataclasses.Field[Any]", value: Any) -> Any:
        if field.name == "training_service" and isinstance(value, list) and len(value) == 1:
            value = value[0]
        return super()._converted(field, value)

    def json_fields(self) -> dict[str, Any]:
        """See the base class."""
        fields = super().json_fields()
        return {name: None if _is_placeholder(value) else value for name, value in fields.items()}


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, algorithm.AlgorithmConfig) and not value.is_set
