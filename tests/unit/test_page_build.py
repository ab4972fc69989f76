"""Which Node may build the page, and when there is nothing to build."""

import importlib.util
import pathlib
import shutil
import types

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hatch_build() -> types.ModuleType:
    found = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("v16.20.0", False),
        ("v20.18.9", False),
        ("v20.19.0", True),
        ("v20.20.2", True),
        ("v21.7.0", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.19.0", True),
        ("", False),
    ],
)
def test_versions_in_a_range_of_npm(hatch_build: types.ModuleType, version: str, expected: bool) -> None:
    assert hatch_build.satisfies(version, "^20.19.0 || >=22.12.0") is expected


def test_a_page_is_fresh_until_its_sources_change(hatch_build: types.ModuleType, tmp_path: pathlib.Path) -> None:
    shutil.copytree(ROOT / "web", tmp_path / "web", ignore=shutil.ignore_patterns("node_modules"))
    static = tmp_path / "src" / "nni" / "server" / "static"
    static.mkdir(parents=True)
    page = hatch_build.Page(tmp_path)
    assert not page.is_fresh
    (static / "built-from.txt").write_text(page._source_digest())
    assert page.is_fresh
    page.build(None)  # without any Node: there is nothing to do
    (tmp_path / "web" / "src" / "model.test.ts").write_text("")
    assert page.is_fresh
    (tmp_path / "web" / "src" / "model.ts").write_text("")
    assert not page.is_fresh
    with pytest.raises(SystemExit, match=r"needs Node \^20.19.0 \|\| >=22.12.0: install it, or pip install"):
        page.build(None)
