"""The volume from the pod's side: files that are swept to it, a disk that is full, bundles that are hostile."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from nni import errors
from nni.runtime import bundle, files, flush, outlet, settings, sweep, tree
from nni.testing import pods

PYTHON = os.path.realpath(sys.executable)

TALKATIVE = """\
import nni, os, sys
for epoch in range(400):
    nni.report_intermediate_result({"default": epoch, "padding": "x" * 1000})
    print("y" * 1000)
    print("z" * 1000, file=sys.stderr)
open("model.bin", "wb").write(bytes(2_000_000)) if "--save" in sys.argv else None
nni.report_final_result(0.9)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB."""
    path = tmp_path / "volume" / "nni" / "exp1" / "k2f9z" / "1"
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def assert_that_training_went_on(pod: pods.Pod, intake: pods.Intake, ended: pods.Ended) -> None:
    metrics = intake.metrics[pod.path]
    assert ended.code == 0
    assert len(metrics) == 401
    assert metrics[-1].value == "0.9"
    assert intake.exits[pod.path].metrics == 401
    assert ended.stdout.count(b"y" * 1000 + b"\n") == 400
    # The journal is short, but whole.
    journal = pod.metrics()
    assert 0 < len(journal) < 401
    assert pod.read("metrics.jsonl").endswith("}\n")
    assert list(journal) == metrics[: len(journal)]


def test_a_full_disk_never_stops_the_training(tmp_path: Path, small_disk: Path) -> None:
    with pods.Intake() as intake:
        given = {"NNI_INTAKE_URL": intake.url, "NNI_TRIAL_TOKEN": intake.token}
        pod = pods.Pod(tmp_path, "python3 t.py --save", code={"t.py": TALKATIVE}, environment=given, python=PYTHON)

        ended = pod.run()

        assert_that_training_went_on(pod, intake, ended)
    assert "cannot be written (No space left on device)" in ended.stderr.decode()
    assert sorted(path.name for path in pod.replica.rglob("*part*")) == []
    assert small_disk.is_mount()


def test_nor_do_files_that_may_not_grow(tmp_path: Path) -> None:
    with pods.Intake() as intake:
        given = {"NNI_INTAKE_URL": intake.url, "NNI_TRIAL_TOKEN": intake.token}
        pod = pods.Pod(tmp_path, "python3 t.py", code={"t.py": TALKATIVE}, environment=given, python=PYTHON)

        # Blocks of 512 bytes for each file.
        ended = pod.run("sh", "-c", 'ulimit -f 300; exec "$@"', "limited")

        assert_that_training_went_on(pod, intake, ended)
    assert "cannot be written (File too large)" in ended.stderr.decode()


def test_a_volume_without_room_for_directories_does_not_stop_it_either(tmp_path: Path) -> None:
    with pods.Intake() as intake:
        given = {"NNI_INTAKE_URL": intake.url, "NNI_TRIAL_TOKEN": intake.token}
        code = {"t.py": "import nni; nni.report_final_result(1); print('done')"}
        pod = pods.Pod(tmp_path, "python3 t.py", code=code, environment=given, python=PYTHON)
        # A file stands where the replica's directory should be.
        pod.replica.write_text("")

        ended = pod.run()

        assert (ended.code, ended.stdout) == (0, b"done\n")
        assert [metric.value for metric in intake.metrics[pod.path]] == ["1"]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    (work / "data").mkdir(parents=True)
    (work / "train.py").write_text("came with the bundle")
    (work / "data" / "labels.txt").write_text("came with the bundle")
    return work


def test_what_is_said_goes_to_the_disk_soon_and_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(file: int) -> None:
        real(file)
        synced.append(Path(f"/proc/self/fd/{file}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)
    stdout, absent = tmp_path / "stdout", tmp_path / "absent"
    flushing = flush.Flush([str(stdout), str(absent)], ended=lambda: None, seconds=0.2)
    flushing.start()
    writing = files.Appending(str(stdout), pytest.fail, flushing.stir)
    for _ in range(100):
        writing.write(b"a line\n")
    pods.wait_until(lambda: synced == ["stdout"])
    writing.write(b"another\n")
    pods.wait_until(lambda: synced == ["stdout"] * 2)
    flushing.finish(0)
    flushing.join(10)
    assert not flushing.is_alive()
    writing.close()


@pytest.mark.parametrize(
    ("platform", "storage", "names"),
    [
        ("kubeflow", "", ["nni-sweep", "nni-flush"]),
        ("kubeflow", "claim", ["nni-relay", "nni-sweep", "nni-flush"]),
        ("kubeflow", "manager", ["nni-relay", "nni-sweep", "nni-output", "nni-checkpoint"]),
        ("local", "", ["nni-sweep"]),
    ],
)
def test_what_takes_files_out_of_a_pod(tmp_path: Path, platform: str, storage: str, names: list[str]) -> None:
    told = settings.Settings(
        experiment="exp1", trial="k2f9z", attempt=1, role="master", replica=0, sequence=0, bundle="b0", command="true",
        platform=platform, volume=str(tmp_path), pod="", intake="http://127.0.0.1:1", token="t", fingerprint="",
        grace=30.0, storage=storage,
    )  # fmt: skip
    made = outlet.make(told, str(tmp_path), tell=pytest.fail, ended=lambda name: lambda: None)
    assert [one.name for one in made] == names
    told_of_growth = {"nni-relay", "nni-flush"} & set(names)
    assert len(outlet.stirs(made)) == len(told_of_growth)


class Sweeping:
    """A sweep of every few milliseconds, and what it said."""

    def __init__(self, work: Path, target: Path, limit: int = sweep.LIMIT) -> None:
        self.said: list[str] = []
        self.target = target
        self.sweep = sweep.Sweep(
            "sweep",
            str(work),
            sweep.Folder(str(target)),
            tell=self.said.append,
            ended=lambda: None,
            limit=limit,
            seconds=0.01,
        )

    def __enter__(self) -> Self:
        self.sweep.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sweep.finish(10)
        self.sweep.join(10)

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.target.rglob("*") if path.is_file())
        return {str(path.relative_to(self.target)): path.read_bytes() for path in found}

    def wait_for(self, is_so: Callable[[dict[str, bytes]], bool]) -> None:
        pods.wait_until(lambda: is_so(self.files()))


def test_new_and_changed_files_are_swept_while_it_runs(work: Path, tmp_path: Path) -> None:
    with Sweeping(work, tmp_path / "output") as sweeping:
        (work / "out").mkdir()
        (work / "out" / "model.bin").write_bytes(b"first")
        sweeping.wait_for(lambda files: files == {"out/model.bin": b"first"})
        (work / "out" / "model.bin").write_bytes(b"second")
        (work / "data" / "labels.txt").write_text("changed")
        sweeping.wait_for(lambda files: files == {"out/model.bin": b"second", "data/labels.txt": b"changed"})
        (work / "last").write_bytes(b"at the end")

    assert sweeping.files() == {"out/model.bin": b"second", "data/labels.txt": b"changed", "last": b"at the end"}
    assert sweeping.said == []


def test_what_has_only_grown_is_appended_to_and_all_else_replaced(tmp_path: Path) -> None:
    place, target = tmp_path / "log", tmp_path / "output" / "log"
    folder = sweep.Folder(str(target.parent))
    copied = [b""]

    def is_new_after(content: bytes, is_late: Callable[[], bool] = lambda: False) -> bool:
        place.write_bytes(content)
        before = target.stat().st_ino if target.exists() else 0
        if folder.put(str(place), "log", len(content), is_late):
            copied.append(content)
        assert target.read_bytes() == copied[-1]
        assert list(target.parent.iterdir()) == [target]
        return target.stat().st_ino != before

    assert is_new_after(b"one")
    assert not is_new_after(b"one two")
    assert is_new_after(b"another file, and longer")
    assert is_new_after(b"short")
    # When the time is over, what was there is there.
    assert not is_new_after(b"short" + bytes(3 << 20), iter([False, True]).__next__)
    assert is_new_after(b"short no more")
    # Somebody else has written there.
    target.write_bytes(b"what was short")
    assert is_new_after(b"short no more at all")
    assert len(copied) == 7


def test_what_the_command_puts_into_its_output_directory_is_its_own(work: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (output / "left").write_bytes(b"by a container that was started again")
    with Sweeping(work, output) as sweeping:
        (output / "model.bin").write_bytes(b"the command's own")
        (work / "model.bin").write_bytes(b"another, of the same name")
        (work / "left").write_bytes(b"newer")
        (work / "swept").write_bytes(b"first")
        sweeping.wait_for(lambda files: files.get("swept") == b"first")
        (work / "swept").write_bytes(b"second")

    own = {"model.bin": b"the command's own", "left": b"newer", "swept": b"second"}
    assert sweeping.files() == own
    assert sweeping.said == [
        "model.bin, and perhaps others, stay in the pod: the command has written another file of that name to "
        "NNI_OUTPUT_DIR"
    ]


def test_what_was_swept_is_the_commands_own_once_it_writes_there(work: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with Sweeping(work, output) as sweeping:
        (work / "model.pt").write_bytes(b"epoch 1")
        sweeping.wait_for(lambda files: files == {"model.pt": b"epoch 1"})
        (output / "model.pt").write_bytes(b"the one")
        (work / "model.pt").write_bytes(b"epoch 2")
        (work / "swept").write_bytes(b"first")
        sweeping.wait_for(lambda files: files.get("swept") == b"first")

    assert sweeping.files() == {"model.pt": b"the one", "swept": b"first"}
    assert len(sweeping.said) == 1
    assert "the command has written another file of that name to NNI_OUTPUT_DIR" in sweeping.said[0]


@pytest.mark.parametrize(("shift", "is_taken"), [(0, False), (1, False), (-1, False), (30, True), (-30, True)])
def test_a_time_of_change_may_settle(tmp_path: Path, shift: int, *, is_taken: bool) -> None:
    """As on SMB, whose server sets its own; what was written later, even the same, is the command's."""
    place, target = tmp_path / "model.pt", tmp_path / "output" / "model.pt"
    folder = sweep.Folder(str(target.parent))
    place.write_bytes(b"epoch 1")
    assert not folder.is_taken("model.pt")
    assert folder.put(str(place), "model.pt", 7, lambda: False)
    at = target.stat().st_mtime_ns + shift * 1_000_000_000
    os.utime(target, ns=(at, at))
    assert folder.is_taken("model.pt") is is_taken
    target.unlink()
    assert not folder.is_taken("model.pt")
    target.mkdir()
    assert folder.is_taken("model.pt")


@pytest.mark.slow
def test_a_file_at_any_depth_is_swept(work: Path, tmp_path: Path) -> None:
    below = "/".join([*["d"] * (sys.getrecursionlimit() + 100), "model.pt"])
    with Sweeping(work, tmp_path / "output") as sweeping:
        folder = os.open(work, os.O_RDONLY)
        for _ in range(below.count("/")):
            os.mkdir("d", dir_fd=folder)
            folder, above = os.open("d", os.O_RDONLY, dir_fd=folder), folder
            os.close(above)
        os.close(folder)
        (work / below).write_bytes(b"deep")
        (work / "last").write_bytes(b"")

    assert (tmp_path / "output" / below).read_bytes() == b"deep"
    assert (tmp_path / "output" / "last").exists()
    assert sweeping.said == []
    # What clears away behind tests calls itself for each directory.
    for top in (work, tmp_path / "output"):
        tree.Tree(str(top)).delete("d")


def test_links_caches_and_what_came_with_the_bundle_stay(work: Path, tmp_path: Path) -> None:
    with Sweeping(work, tmp_path / "output") as sweeping:
        (work / "passwd").symlink_to("/etc/passwd")
        (work / "etc").symlink_to("/etc")
        (work / "__pycache__").mkdir()
        (work / "__pycache__" / "train.pyc").write_bytes(b"")
        os.mkfifo(work / "fifo")
        (work / "new").write_bytes(b"")

    assert sweeping.files() == {"new": b""}


def test_the_size_of_all_files_is_limited(work: Path, tmp_path: Path) -> None:
    with Sweeping(work, tmp_path / "output", limit=3 << 20) as sweeping:
        (work / "a").write_bytes(bytes(2 << 20))
        sweeping.wait_for(lambda files: len(files.get("a", b"")) == 2 << 20)
        # Only the newest version counts; in one step, so that no sweep finds it empty and has room for another file.
        (tmp_path / "newer").write_bytes(b"a" * (2 << 20))
        (tmp_path / "newer").replace(work / "a")
        (work / "b").write_bytes(bytes(2 << 20))
        (work / "c").write_bytes(b"small")

    files = sweeping.files()
    assert (sorted(files), files["a"][:1]) == (["a", "c"], b"a")
    assert sweeping.said == [
        "b, and perhaps others, stay in the pod: more than 3 MiB in total are not copied; write large files to "
        "NNI_OUTPUT_DIR"
    ]


def pack(path: Path, *members: tuple[str, bytes, str]) -> str:
    """Make a bundle of (name, type, link target) and return its path."""
    with tarfile.open(path, "w:gz") as packed:
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = target
            member.size = 4 if kind == tarfile.REGTYPE else 0
            member.mode = 0o7777
            packed.addfile(member, io.BytesIO(b"text"))
    return str(path)


def test_a_bundle_keeps_its_files_links_and_modes(tmp_path: Path) -> None:
    path = pack(
        tmp_path / "b.tar.gz",
        ("sub", tarfile.DIRTYPE, ""),
        ("sub/file", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "sub/file"),
        ("sub/up", tarfile.SYMTYPE, "../link"),
        ("hard", tarfile.LNKTYPE, "sub/file"),
    )
    target = tmp_path / "work"
    target.mkdir()

    bundle.unpack(path, str(target))

    assert (target / "sub/up").read_text() == (target / "hard").read_text() == "text"
    assert (target / "sub/file").stat().st_mode & 0o7777 == 0o755
    assert (target / "sub/file").stat().st_mtime > 1_700_000_000


@pytest.mark.parametrize(
    "members",
    [
        [("../out", tarfile.REGTYPE, "")],
        [("/tmp/nni-escaped", tarfile.REGTYPE, "")],
        [("a/../../out", tarfile.REGTYPE, "")],
        [("link", tarfile.SYMTYPE, "/etc")],
        [("link", tarfile.SYMTYPE, "../..")],
        [("here", tarfile.SYMTYPE, "."), ("link", tarfile.SYMTYPE, "here/.."), ("link/out", tarfile.REGTYPE, "")],
        [("hard", tarfile.LNKTYPE, "../../etc/passwd")],
        [("device", tarfile.CHRTYPE, "")],
        [("fifo", tarfile.FIFOTYPE, "")],
    ],
)
def test_nothing_in_a_bundle_leads_out_of_it(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    target = tmp_path / "deep" / "work"
    target.mkdir(parents=True)

    with pytest.raises(errors.TrialError, match=r"the bundle holds .*, which"):
        bundle.unpack(pack(tmp_path / "b.tar.gz", *members), str(target))

    assert [path.name for path in tmp_path.rglob("out*")] == []
    assert not Path("/tmp/nni-escaped").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", pods.bundle({"a": "x" * 100000})[:-40]])
def test_a_broken_bundle_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_bytes(content)

    with pytest.raises(errors.TrialError, match="the code directory cannot be unpacked from"):
        bundle.unpack(str(path), str(tmp_path))
