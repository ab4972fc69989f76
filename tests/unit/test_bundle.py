"""What travels of a code directory, and where an NFS export is on this machine."""

import io
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nni import errors
from nni.core import spec
from nni.runtime import bundle as unpacking
from nni.storage import bundle, nfs


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def members(packed: bundle.Bundle) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed.content)) as archive:
        return {member.name: member for member in archive.getmembers()}


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True)


CODE = {
    "main.py": "print(1)\n",
    "lib/a.py": "",
    "lib/Grüße 世界.txt": "x",
    ".env_": "A=1",
    "data/x" * 30 + "/y": "deep",
}


async def test_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    one = write(tmp_path / "one", CODE)
    two = write(tmp_path / "two", dict(reversed(CODE.items())))
    for path in two.rglob("*"):
        os.utime(path, (1, 1))
    (two / "main.py").chmod(0o600)
    first, second = await bundle.build(one), await bundle.build(two)
    assert first == second
    assert list(members(first)) == sorted(CODE, key=os.fsencode)
    assert (first.files, first.size, first.warnings) == (5, 17, ())
    assert {
        (member.mtime, member.uid, member.gid, member.uname, member.mode) for member in members(first).values()
    } == {(0, 0, 0, "", 0o644)}


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "main.py").write_text("print(2)\n"),
        lambda top: (top / "main.py").chmod(0o755),
        lambda top: (top / "main.py").rename(top / "other.py"),
        lambda top: (top / "new").touch(),
        lambda top: (top / "link").symlink_to("main.py"),
    ],
    ids=["content", "mode", "name", "new file", "link"],
)
async def test_every_change_has_another_digest(change, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    top = write(tmp_path, CODE)
    before = await bundle.build(top)
    change(top)
    assert (await bundle.build(top)).digest != before.digest


async def test_the_runtime_unpacks_it(tmp_path: Path) -> None:
    code = write(tmp_path / "code", CODE)
    (code / "run.sh").write_text("#!/bin/sh\n")
    (code / "run.sh").chmod(0o750)
    (code / "lib" / "up.py").symlink_to("../main.py")
    (code / "absolute").symlink_to(code / "lib")
    (code / "dangling").symlink_to("not yet")
    packed = await bundle.build(code)
    (tmp_path / "bundle.tar.gz").write_bytes(packed.content)
    target = tmp_path / "work"
    target.mkdir()
    unpacking.unpack(str(tmp_path / "bundle.tar.gz"), str(target))
    assert (target / "main.py").read_text() == "print(1)\n"
    assert (target / "lib/Grüße 世界.txt").read_text() == "x"
    assert os.access(target / "run.sh", os.X_OK)
    assert (target / "lib/up.py").resolve() == target / "main.py"
    assert (target / "absolute").resolve() == target / "lib"
    assert (target / "dangling").readlink() == Path("not yet")


IGNORED = {
    "keep.py": "",
    "a.log": "",
    "sub/b.log": "",
    "sub/keep.log": "",
    "build/x": "",
    "sub/build/x": "",
    "data/big.bin": "",
    "data/deep/er/big.bin": "",
    "data/small": "",
    ".git/config": "",
    "sub/__pycache__/x.pyc": "",
    "docs/a1.md": "",
    "docs/ab.md": "",
    "#hash": "",
}
RULES = "# a comment\n*.log\n!keep.log\n/build/\ndata/**/*.bin\ndocs/a[0-9].md\n\\#hash\n"
KEPT = [".nniignore", "data/small", "docs/ab.md", "keep.py", "sub/build/x", "sub/keep.log"]


async def test_nniignore_outside_git(tmp_path: Path) -> None:
    write(tmp_path, IGNORED | {".nniignore": RULES})
    assert list(members(await bundle.build(tmp_path))) == KEPT


async def test_gitignore_outside_git(tmp_path: Path) -> None:
    write(tmp_path, IGNORED | {".gitignore": RULES, "sub/.gitignore": "/keep.log\n", ".nniignore": "docs\n"})
    assert list(members(await bundle.build(tmp_path))) == [
        ".gitignore", ".nniignore", "data/small", "keep.py", "sub/.gitignore", "sub/build/x",
    ]  # fmt: skip


async def test_inside_a_work_tree_git_decides_and_nniignore_leaves_more(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    code = write(repository / "code", {name: text for name, text in IGNORED.items() if not name.startswith(".git/")})
    write(repository, {".gitignore": RULES.replace("docs/", "code/docs/").replace("data/", "code/data/"), "other": ""})
    git(repository, "init", "-q")
    write(code, {".nniignore": "sub/\n", "committed.log": "", "gone.py": ""})
    git(repository, "add", "-f", "code/committed.log", "code/gone.py")
    (code / "gone.py").unlink()
    assert list(members(await bundle.build(code))) == [
        ".nniignore", "build/x", "committed.log", "data/small", "docs/ab.md", "keep.py",
    ]  # fmt: skip


async def test_a_directory_that_git_leaves_behind_still_travels(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path, {".gitignore": "tmp/\n", "tmp/main.py": "", "tmp/.gitignore": "*.log\n", "tmp/a.log": ""})
    assert list(members(await bundle.build(tmp_path / "tmp"))) == [".gitignore", "main.py"]


async def test_a_repository_in_a_repository_travels(tmp_path: Path) -> None:
    inner = write(tmp_path / "vendor" / "lib", {"code.py": "", ".gitignore": "*.o\n", "x.o": ""})
    write(tmp_path, {"main.py": ""})
    for directory in (tmp_path, inner):
        git(directory, "init", "-q")
    assert list(members(await bundle.build(tmp_path))) == ["main.py", "vendor/lib/.gitignore", "vendor/lib/code.py"]


NAMES = (
    "a", "b", "Z", "0", "-", "_", "]", "[", "^", "a b", "a ", "ab", "a.log", "ü", "é1", "#h", "!n", "a\\b", "tab\tx",
    "d/a", "d/Z", "d/e/a", "d/e/b.log", "d/e/f/a", "ö/a",
)  # fmt: skip


@pytest.mark.parametrize(
    "rules",
    [
        "\ufeff*.log\na\n",
        "\ufeff# a comment\n",
        "a\r\nb\r\n",
        "[[:lower:]]\n",
        "[![:lower:][:digit:]]\n",
        "[[:upper:]0-9_]\n",
        "d/[[:alpha:]-z]\n",
        "[[:nope:]]\nb\n",
        "[[:lower:]\n",
        "[[:]\n",
        "[]a]\n",
        "[!]a]\n",
        "[a\\]b]\n",
        "[\\a-c]\n",
        "[--0]\n",
        "[a-\n",
        "?\n",
        "??1\n",
        "**/e/**\n",
        "d/**/a\n!d/e/f/a\n",
        "/**\n!/a\n",
        "d/*/\n",
        "//a\n",
        "a//\n",
        "a \na\\ \n",
        "\\#h\n\\!n\n!!n\n",
        "a\\\\b\na\\\n",
        "tab\tx\t\n",
        "a\u2028b\n",
    ],
)
async def test_patterns_mean_what_they_mean_to_git(rules: str, tmp_path: Path) -> None:
    for directory in ("git", "walked"):
        write(tmp_path / directory, dict.fromkeys(NAMES, ""))
        (tmp_path / directory / ".gitignore").write_bytes(rules.encode())
    git(tmp_path / "git", "init", "-q")
    walked, known = await bundle.build(tmp_path / "walked"), await bundle.build(tmp_path / "git")
    assert list(members(walked)) == list(members(known))


async def test_a_byte_order_mark_is_no_part_of_a_pattern(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": "", "data.bin": "", ".nniignore": "\ufeffdata.bin\n"})
    assert list(members(await bundle.build(tmp_path))) == [".nniignore", "main.py"]


PACK = """\
import os, sys
from pathlib import Path
from nni import errors
from nni.storage import bundle
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print(bundle.pack(Path(sys.argv[1])).files)
except errors.ConfigError as error:
    print(error)
"""


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that others get to: each pytest that starts closes the one that all of its directories are in."""
    with tempfile.TemporaryDirectory(prefix="nni-test-") as made:
        place = Path(made)
        place.chmod(0o755)
        yield place


def pack_without_rights(directory: Path) -> str:
    """Return what comes of packing a directory by a user who may not read everything."""
    if os.geteuid() == 0:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, 65534, 65534)
    command = [sys.executable, "-c", PACK, str(directory)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "HOME": "/nowhere"})
    return ended.stdout.strip()


@pytest.mark.parametrize("in_git", [False, True, "and known"])
@pytest.mark.parametrize(
    ("closed", "mode", "otherwise"),
    [
        ("data", 0o000, "name it in .nniignore"),
        ("data", 0o600, "name it in .nniignore"),
        ("data/it's", 0o000, "name it in .nniignore"),
        (".nniignore", 0o000, "remove it"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    closed: str, mode: int, otherwise: str, in_git: bool | str, open_place: Path
) -> None:
    code = write(open_place / "top" / "code", {"main.py": "", "data/it's/x": "", "data/y": "", ".nniignore": "\n"})
    if in_git:
        git(code.parent, "init", "-q")
    if in_git == "and known":
        git(code.parent, "add", ".")
    (code / closed).chmod(mode)

    said = pack_without_rights(code)

    whole = code / closed
    assert said == (
        f"{whole} cannot be read (Permission denied), so the code directory cannot travel; make it readable "
        f"(chmod -R u+rX {shlex.quote(str(whole))}), or {otherwise}."
    )
    if closed != ".nniignore":
        (code / ".nniignore").write_text(f"/{closed}/\n")
        assert pack_without_rights(code).isdigit()


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside"])
async def test_a_link_that_leaves_the_directory_is_refused_by_name(target: str, tmp_path: Path) -> None:
    code = write(tmp_path / "code", {"sub/a": ""})
    (code / "sub" / "way out").symlink_to(target if target.startswith("/") else f"../{target}")
    with pytest.raises(errors.ConfigError, match=r"The link .*/code/sub/way out leads out of the code directory, to "):
        await bundle.build(code)
    write(code, {".nniignore": "way out\n"})
    assert list(members(await bundle.build(code))) == [".nniignore", "sub/a"]


async def test_a_link_that_leaves_over_another_link_is_refused(tmp_path: Path) -> None:
    code = write(tmp_path / "code", {"a": "", ".nniignore": "/door\n"})
    (tmp_path / "outside").mkdir()
    (code / "door").symlink_to("../outside")
    (code / "window").symlink_to("door/x")
    with pytest.raises(errors.ConfigError, match="window leads out"):
        await bundle.build(code)


async def test_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        (tmp_path / f"file{number:02}").write_bytes(b"x" * 1000 * (number + 1))
    monkeypatch.setattr(bundle, "WARN_BYTES", 10_000)
    warned = await bundle.build(tmp_path)
    assert [text.split(";")[0] for text in warned.warnings] == [
        f"The code directory {tmp_path} has 12 files of 0.1 MiB in all"
    ]
    with pytest.raises(
        errors.ConfigError, match=r"has 0\.1 MiB, .* largest files are file11 \(0 MiB\), file10"
    ) as caught:
        await bundle.build(tmp_path, 70_000)
    assert "file02" in str(caught.value)
    assert "file01" not in str(caught.value)


def test_what_is_compressed_already_is_only_stored(tmp_path: Path) -> None:
    """Both kinds in one bundle, which any reader of tar.gz takes."""
    weights = os.urandom(300_000)
    for name, content in (("a.txt", b"a" * 300_000), ("b.bin", weights), ("c.txt", b"c" * 300_000), ("d", b"")):
        (tmp_path / name).write_bytes(content)
    packed = bundle.pack(tmp_path)
    assert 300_000 < len(packed.content) < 310_000
    assert bundle.pack(tmp_path) == packed
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "xzf", "-", "-C", str(tmp_path / "out")], input=packed.content, check=True)
    assert (tmp_path / "out" / "b.bin").read_bytes() == weights
    assert (tmp_path / "out" / "c.txt").read_bytes() == b"c" * 300_000


@pytest.mark.parametrize("name", [".env", ".env.local", "lib/id_rsa", "tls/server.key", ".aws/credentials"])
async def test_what_looks_like_a_key_travels_with_a_warning(name: str, tmp_path: Path) -> None:
    packed = await bundle.build(write(tmp_path / "code", {"main.py": "", "keyboard.py": "", name: "x"}))
    assert name in members(packed)
    assert packed.warnings == (
        f"The code directory {tmp_path}/code holds {name}, which look like keys and travel to the volume; "
        "name them in a .nniignore file there, or use a Secret of the cluster.",
    )


async def test_many_files_are_a_warning(tmp_path: Path) -> None:
    for number in range(2_001):
        (tmp_path / str(number)).touch()
    assert len((await bundle.build(tmp_path)).warnings) == 1


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"main.py": "", ".nniignore": "*\n"}, [".nniignore"]),
        ({"main.py": "", ".nniignore": "/*\n!.nniignore\n"}, [".nniignore"]),
        ({"src/main.py": "", ".gitignore": "*\n!.gitignore\n"}, [".gitignore"]),
        ({"main.py": "", "data": "", ".gitignore": "data\n", ".nniignore": "*.py\n"}, [".gitignore", ".nniignore"]),
        ({"main.py": "", "data": "", ".nniignore": "data\n"}, []),
        ({".nniignore": "*\n", "__pycache__/x.pyc": ""}, []),
        ({"__pycache__/x.pyc": ""}, []),
        ({}, []),
    ],
)
@pytest.mark.parametrize("in_git", [False, True])
def test_a_directory_of_which_nothing_travels_is_a_warning_that_names_what_says_so(
    files: dict[str, str], named: list[str], in_git: bool, tmp_path: Path
) -> None:
    write(tmp_path, files)
    if in_git:
        subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    places = " and ".join(str(tmp_path / name) for name in named)
    says = (
        f"Nothing of the code directory {tmp_path} travels: the patterns in {places} leave all of it behind, so trials "
        "find none of their files; take out those that go too far."
    )
    assert bundle.pack(tmp_path).warnings == ((says,) if named else ())


async def test_odd_files(tmp_path: Path) -> None:
    write(tmp_path, {"a": ""})
    os.mkfifo(tmp_path / "pipe")
    packed = await bundle.build(tmp_path)
    assert packed.warnings == (f"{tmp_path}/pipe is neither a file nor a link, so it stays behind.",)
    with pytest.raises(errors.ConfigError, match="is not a directory of this machine; the trials' code belongs there"):
        await bundle.build(tmp_path / "a")


NFS = spec.NfsSpec(server="10.20.30.40", path="/mnt/nfs/nni")
TABLE = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /parent rw - nfs4 10.20.30.40:/mnt rw,vers=4.2,addr=10.20.30.40
31 22 0:27 / /by\040name rw - nfs4 Files.example.org.:/mnt/nfs/nni rw,vers=4.2,addr=10.20.30.41
32 22 0:28 / /other rw - nfs 10.20.30.40:/mnt/nfs/nni2 rw
33 22 0:29 /exp /bound rw - nfs 10.20.30.42:/data rw
34 22 0:30 / /hidden rw - nfs 10.20.30.43:/data rw
35 22 0:31 / /hidden rw - tmpfs tmpfs rw
36 22 0:32 / /six rw - nfs4 [fd00::1]:/ rw,addr=fd00::1
"""
MACOS = "10.20.30.40:/mnt/nfs on /Volumes/my nfs (nfs, nodev)\n/dev/disk1 on / (apfs, local)\n"


@pytest.mark.parametrize(
    ("server", "path", "mount_path", "env", "table", "expected"),
    [
        ("10.20.30.40", "/mnt/nfs/nni", None, None, TABLE, "/parent/nfs/nni"),
        ("10.20.30.40", "/mnt/nfs/nni2/a", None, None, TABLE, "/other/a"),
        ("files.example.org", "/mnt/nfs/nni/", None, None, TABLE, "/by name"),
        ("10.20.30.41", "/mnt/nfs/nni/sub", None, None, TABLE, "/by name/sub"),
        ("10.20.30.42", "/data/exp", None, None, TABLE, "/bound"),
        ("fd00::1", "/x", None, None, TABLE, "/six/x"),
        ("10.20.30.40", "/mnt/nfs/nni", None, None, MACOS, "/Volumes/my nfs/nni"),
        ("10.20.30.40", "/mnt/nfs/nni", "/configured", None, TABLE, "/configured"),
        ("10.20.30.40", "/mnt/nfs/nni", "/configured", "10.20.30.40:/mnt/nfs=/told", TABLE, "/told/nni"),
        ("10.20.30.40", "/mnt/nfs/nni", None, "a:/b=/c, 10.20.30.40:/mnt/nfs/nni=/d=e", "", "/d=e"),
        ("10.20.30.40", "/mnt/nfs/nni", "/configured", "10.20.30.40:/mnt/nfs/nn=/told", "", "/configured"),
    ],
)
def test_where_an_export_is(
    *, server: str, path: str, mount_path: str | None, env: str | None, table: str, expected: str
) -> None:
    wanted = spec.NfsSpec(server=server, path=path, mount_path=mount_path)
    assert nfs.locate(wanted, env, table) == Path(expected)


@pytest.mark.parametrize("server", ["10.20.30.42", "10.20.30.43", "nowhere"])
def test_an_export_that_is_not_here(server: str) -> None:
    assert nfs.locate(spec.NfsSpec(server=server, path="/data"), None, TABLE) is None


@pytest.mark.parametrize("text", ["nonsense", "a:b=/c", "a:/b", "a:/b="])
def test_mounts_that_cannot_be_read(text: str) -> None:
    with pytest.raises(errors.VolumeError, match=r"NNI_MOUNTS has .* not of the form server:path=directory"):
        nfs.locate(NFS, text, "")


def test_the_pod_side() -> None:
    assert nfs.pod_volume(NFS) == (
        {"name": "nni-volume", "nfs": {"server": "10.20.30.40", "path": "/mnt/nfs/nni"}},
        {"name": "nni-volume", "mountPath": "/mnt/nni/volume"},
    )


def test_urls() -> None:
    assert nfs.url(NFS, "nni/AbC/k2f9z") == "nfs://10.20.30.40/mnt/nfs/nni/nni/AbC/k2f9z"
    assert nfs.url(spec.NfsSpec(server="fd00::1", path="/a b"), "c") == "nfs://[fd00::1]/a%20b/c"
