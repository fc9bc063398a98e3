"""The direction of imports between the rooms, and that importing does nothing (DESIGN section 4)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "inbox_pipeline"
PURE = ["dicom", "script", "deid", "intake"]
EVERYWHERE = {"errors", "settings", "__init__"}
ALLOWED: dict[str, set[str]] = {
    **{room: set(PURE[: number + 1]) for number, room in enumerate(PURE)},
    "store": {*PURE, "store"},
    "services": {*PURE, "store", "services", "observability"},
    "pipeline": {*PURE, "store", "services", "observability", "pipeline"},
    "web": {*PURE, "store", "services", "observability", "web"},
    "supervise": {*PURE, "store", "services", "observability", "supervise"},
    "demo": {*PURE, "store", "services", "client", "demo"},
    "cli": {*PURE, "store", "services", "observability", "client", "supervise", "demo", "cli"},
    "client": {"client"},
    "observability": {"observability"},
    "definitions": {"pipeline"},
}
OPTIONAL_CODECS = {"gdcm", "openjpeg", "rle"}
THIRD_PARTY_OF_PURE = {"pydicom", "numpy", "regex", "yaml"} | OPTIONAL_CODECS
FORBIDDEN = {"web": {"dagster", "celery"}, "services": {"dagster", "fastapi"}, "store": {"dagster", "fastapi"}}


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "inbox_pipeline"}
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    here = room(path)
    allowed = {"errors"} if here in EVERYWHERE else ALLOWED[here] | EVERYWHERE
    names = imports(path)
    ours = {name.split(".")[1] for name in names if name.startswith("inbox_pipeline.")}
    assert ours <= allowed, f"{here} may not import {sorted(ours - allowed)}"
    outside = {name.split(".")[0] for name in names} - {"inbox_pipeline"}
    assert not outside & FORBIDDEN.get(here, set())
    if here in PURE:
        assert outside <= sys.stdlib_module_names | THIRD_PARTY_OF_PURE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_opens_by_saying_what_belongs_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or not path.read_text(encoding="utf-8")


def test_importing_does_nothing(tmp_path: Path) -> None:
    """With an empty environment and an empty folder, no import may read settings or write a file."""
    names = [
        ".".join(("inbox_pipeline", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in MODULES
        if "migrations" not in path.parts and path.stem != "__main__"
    ]
    code = "\n".join(f"import {name}" for name in names)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
