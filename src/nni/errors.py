"""Every error of this package, on one page.

One class for each thing that a caller can do differently. A message says what is wrong, where, and how to mend it, in
one sentence that can be shown to the user as it stands. Errors of other libraries are mapped to these at the edge
where they appear, with ``raise ... from``.
"""

from typing import Iterable, NamedTuple, Tuple


class NniError(Exception):
    """Root of all errors that this package raises on purpose."""


class Problem(NamedTuple):
    """One mistake in a configuration."""

    path: str
    """Where it is, as the user wrote it: ``training_service.worker.cpu_number``."""
    message: str
    """What is wrong and how to mend it."""

    def __str__(self) -> str:
        return self.path + ": " + self.message if self.path else self.message


class ConfigError(NniError, ValueError):
    """The configuration cannot be used. All its mistakes come together."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownFieldError(NniError, AttributeError):
    """A field was set that its configuration class does not have."""


class PortInUseError(NniError, RuntimeError):
    """A TCP port that the manager needs is taken."""


class ManagerError(NniError, RuntimeError):
    """The manager process could not start, or died."""


class ManagerUnreachableError(NniError, ConnectionError):
    """No manager answers at the address that was asked."""


class RequestRefusedError(NniError):
    """The manager answered a request with an error."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ExperimentNotFoundError(NniError, LookupError):
    """No experiment of that id is known on this machine."""


class PlatformError(NniError):
    """The platform refused something for good: the same call would be refused again."""


class PlatformUnavailableError(NniError):
    """The platform did not answer, or asks to come back later: the same call may pass."""


class PlatformBusyError(PlatformUnavailableError):
    """The platform is there and cannot do it now: asking again soon may pass."""


class VolumeError(NniError, OSError):
    """The volume could not be read or written."""


class RecordsError(NniError):
    """The records of an experiment cannot be opened, read or written."""


class TunerError(NniError):
    """The tuner failed; the message carries its own last words."""


class SandboxError(NniError):
    """The sandbox cannot start or continue."""


class TrialError(NniError, RuntimeError):
    """A trial function was called where it cannot work."""


class WireError(NniError, ValueError):
    """Bytes from the other side do not keep to the contract between pod and manager: whoever sent them is told so."""


class NoMoreTrialError(NniError):
    """Raised by a tuner that has nothing left to suggest."""


class RemovedModuleError(NniError, ImportError):
    """A part of NNI that this project does not continue was imported."""
