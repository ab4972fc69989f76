"""Which code further trials run, after the experiment's manager has been started again."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from nni import errors
from nni.core import model, spec
from nni.manager import snapshot
from nni.manager.files import Files
from nni.runtime import archive
from nni.storage import bundle, mounted

LIMIT = 1000
KEEPS = "has changed since the experiment began; the experiment keeps the snapshot."


@dataclasses.dataclass
class Machine:
    """An experiment's directory, its volume, and its code."""

    place: Path
    said: list[str] = dataclasses.field(default_factory=list)
    bundles: Mapping[str, bundle.Packed] = dataclasses.field(default_factory=dict)

    @property
    def code(self) -> Path:
        return self.place / "code"

    async def start(self) -> str:
        """Do what each start does, and return the digest of what trials run."""
        role = spec.RoleSpec(name="worker", replicas=1, command="true", code_directory=str(self.code))
        volume = mounted.MountedVolume(self.place / "volume")
        files = Files(
            volume=volume, experiment_id=model.ExperimentId("e"), roles=[role], runtime=archive.build(), url=str
        )
        self.said.clear()
        await snapshot.take(files, self.place, LIMIT, self.said.append)
        self.said.remove("Packing code")
        await snapshot.upload(files, self.place)
        self.bundles = files.bundles
        return files.bundles[str(self.code)].digest

    def stored(self) -> list[Path]:
        return sorted((self.place / "volume/nni/e/code").iterdir())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "code").mkdir()
    (tmp_path / "volume").mkdir()
    (tmp_path / "code/trial.py").write_text("one")
    return Machine(tmp_path)


async def test_a_later_start_keeps_what_the_first_has_packed(machine: Machine) -> None:
    first = await machine.start()
    assert (await machine.start(), machine.said) == (first, [])
    for text in ("two", "three"):
        (machine.code / "trial.py").write_text(text)
        assert await machine.start() == first
        assert machine.said == [f"The code in {machine.code} {KEEPS}"]
    assert [path.name for path in machine.stored()] == [f"{first}.tar.gz"]


async def test_what_is_on_the_volume_is_not_held_in_memory(machine: Machine) -> None:
    digest = await machine.start()
    (path,) = machine.stored()
    assert machine.bundles == {str(machine.code): bundle.Packed(digest=digest, length=path.stat().st_size)}


async def test_code_that_cannot_be_packed_any_more_ends_nothing(machine: Machine) -> None:
    first = await machine.start()
    (machine.code / "data").write_bytes(b"x" * (LIMIT + 1))
    assert await machine.start() == first
    (said,) = machine.said
    assert said.startswith(f"The experiment keeps the code that it began with: The code directory {machine.code} has")
    machine.stored()[0].unlink()
    with pytest.raises(errors.ConfigError, match="travel with a trial"):
        await machine.start()


async def test_a_snapshot_that_has_gone_is_packed_anew(machine: Machine) -> None:
    first = await machine.start()
    machine.stored()[0].unlink()
    assert (await machine.start(), machine.said) == (first, [])
    assert len(machine.stored()) == 1

    machine.stored()[0].write_bytes(b"cut off")
    (machine.code / "trial.py").write_text("two")
    second = await machine.start()
    assert second == bundle.pack(machine.code).digest
    (said,) = machine.said
    assert said == (
        f"The code that the experiment began with, of {machine.code}, is not on the volume any more; further trials "
        "run what is there now."
    )
    # From here on this is what the experiment has.
    (machine.code / "trial.py").write_text("three")
    assert (await machine.start(), machine.said) == (second, [f"The code in {machine.code} {KEEPS}"])


async def test_a_damaged_note_says_how_to_go_on(machine: Machine) -> None:
    await machine.start()
    (machine.place / "code.json").write_text("{")
    with pytest.raises(errors.RecordsError, match=r"code\.json, with which code .* delete it, and further trials"):
        await machine.start()
