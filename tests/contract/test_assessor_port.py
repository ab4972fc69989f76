"""``AssessorPort`` over the fake and over the process."""

import json
from pathlib import Path

import pytest

from nni.core import model, ports, spec
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


async def test_of_several_objectives_the_primary_one_is_looked_at(tmp_path: Path) -> None:
    chosen = spec.AlgorithmSpec(name="Medianstop")
    assessor = process.AssessorProcess(
        assessor=chosen, maximize=True, objective="accuracy", log=tmp_path / "assessor.log"
    )
    await assessor.open()
    for name, value in (("good1", 0.8), ("good2", 0.9)):
        await assessor.assess(model.TrialId(name), 0, [json.dumps({"accuracy": value, "cost": 1})])
        await assessor.end(model.TrialId(name), succeeded=True)
    assert await assessor.assess(model.TrialId("good3"), 0, ['{"accuracy": 0.85, "cost": 9}'])
    assert not await assessor.assess(model.TrialId("bad"), 0, ['{"accuracy": 0.1, "cost": 0}'])
    assert not await assessor.assess(model.TrialId("odd"), 0, ['{"default": 0.9}'])
    await assessor.close()
