"""``AssessorPort`` over the fake and over the process."""

from pathlib import Path

import pytest

from nni.core import ports, spec
from nni.testing import assessor as contract
from nni.tuners import process


class TestThreshold(contract.AssessorContract):
    def make(self, directory: Path) -> ports.AssessorPort:
        return contract.ThresholdAssessor()


@pytest.mark.parametrize(
    "chosen",
    [
        spec.AlgorithmSpec(name="Medianstop", class_args={"start_step": 3}),
        spec.AlgorithmSpec(name="Percentile", class_args={"percentile": 90, "start_step": 3}),
        spec.AlgorithmSpec(name="ASHA", class_args={"min_step": 3}),
    ],
    ids=lambda its: its.name,
)
class TestProcess(contract.AssessorContract):
    @pytest.fixture(autouse=True)
    def _choose(self, chosen: spec.AlgorithmSpec) -> None:
        self._chosen = chosen

    def make(self, directory: Path) -> ports.AssessorPort:
        return process.AssessorProcess(assessor=self._chosen, maximize=False, log=directory / "assessor.log")
