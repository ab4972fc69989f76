"""The base class of tuners that users write, with NNI's names and signatures."""

import logging
from collections.abc import Sequence
from typing import Any

from nni import errors

__all__ = ["Tuner"]

_log = logging.getLogger(__name__)


class Tuner:
    """Proposes parameters and learns from how they did.

    A subclass overrides ``update_search_space``, ``generate_parameters`` (or ``generate_multiple_parameters``) and
    ``receive_trial_result``. It runs in a process of its own; all methods are called by one thread.
    """

    _accept_customized = False

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take in the search space; called before anything else, and again whenever the user changes it.

        Args:
            search_space: As the user wrote it: ``{name: {"_type": ..., "_value": [...]}}``.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update_search_space(search_space).")

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:
        """Return parameters for a new trial.

        Args:
            parameter_id: Names these parameters from now on.
            kwargs: What later releases may add.

        Raises:
            nni.NoMoreTrialError: There are no more.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define generate_parameters(parameter_id, **kwargs).")

    def generate_multiple_parameters(self, parameter_id_list: Sequence[int], **kwargs: Any) -> list[dict[str, Any]]:
        """Return parameters for several new trials, in the order of their ids; fewer when there are no more.

        Args:
            parameter_id_list: One id for each set of parameters.
            kwargs: Passed on to ``generate_parameters``. ``st_callback(parameter_id, parameters)`` takes parameters
                later, for an id for which there were none when it was asked for.
        """
        generated = []
        for parameter_id in parameter_id_list:
            try:
                generated.append(self.generate_parameters(parameter_id, **kwargs))
            except errors.NoMoreTrialError:
                break
        return generated

    def receive_trial_result(self, parameter_id: int, parameters: dict[str, Any], value: Any, **kwargs: Any) -> None:
        """Take in the final result of a trial.

        Args:
            parameter_id: Of the trial's parameters.
            parameters: What ``generate_parameters`` returned for it.
            value: What the trial reported: a number, or a dict with the key ``default``.
            kwargs: ``customized`` (whether the user wrote the parameters) and ``trial_job_id``.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define receive_trial_result(parameter_id, parameters, value, **kwargs)."
        )

    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:
        """Take in that a trial has ended; by default nothing happens.

        Args:
            parameter_id: Of the trial's parameters.
            success: Whether it ended well, and was not stopped.
            kwargs: Nothing yet.
        """

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Take in results of other experiments; by default they are passed over.

        Args:
            data: ``{"parameter": ..., "value": ...}`` for each result.
        """
        _log.warning("%s has no import_data, so %d results are passed over.", type(self).__name__, len(data))

    def load_checkpoint(self) -> None:
        """Restore what ``save_checkpoint`` kept; by default nothing happens."""

    def save_checkpoint(self) -> None:
        """Keep what a resumed experiment needs; by default nothing happens."""

    def _accept_customized_trials(self, accept: bool = True) -> None:
        """Say whether results of trials that the user added are to be received too; they are not by default."""
        self._accept_customized = accept

    def _on_exit(self) -> None:
        """Be told that the experiment ends."""

    def _on_error(self) -> None:
        """Be told that the experiment ends because of an error."""
