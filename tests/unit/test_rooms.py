"""The house as its imports draw it: arrows run one way, no two folders import each other, no room is a junk drawer."""

import ast
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = "unlearning_core"
FORBIDDEN = ("utils", "helpers", "common", "misc")
LONGEST = 400


def sources() -> list[Path]:
    return [*(ROOT / CORE).rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imported(path: Path) -> set[str]:
    """Modules of ours that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.split(".")[0] in (CORE, "pages")}


def room(name: str) -> str:
    """The folder of the library that a module is in; a file at its top is a room of its own."""
    parts = name.split(".")
    return parts[0] if parts[0] == "pages" or len(parts) == 1 else parts[1]


def arrows() -> dict[str, dict[str, set[str]]]:
    """From room to room, the imports that draw the arrow."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in sources():
        for name in imported(path):
            start, end = room(module(path)), room(name)
            if start != end and end != CORE:
                found[start][end].add(f"{module(path)} imports {name}")
    return found


def test_no_two_folders_import_each_other() -> None:
    drawn = arrows()
    both = {(a, b) for a in drawn for b in drawn[a] if a < b and a in drawn.get(b, {})}
    assert not [(sorted(drawn[a][b]), sorted(drawn[b][a])) for a, b in both]


def test_no_circle_runs_through_more_folders() -> None:
    drawn = {start: set(ends) for start, ends in arrows().items()}

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = drawn.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        return seen

    assert [start for start in drawn if start in reached(start)] == []


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ("models", ("concepts", "rankers", "runs", "evaluation", "methods")),
        ("rankers", ("runs", "methods", "training", "reports", "jobs")),
        ("jobs", ("runs", "training", "methods", "models")),
        ("edits", ("runs", "methods", "rankers", "evaluation")),
        ("methods", ("runs", "reports", "cli")),
        ("evaluation", ("runs", "methods", "reports")),
        ("figures", ("runs", "models")),
        ("runs", ("reports", "cli", "pages")),
    ],
)
def test_a_room_below_knows_none_above_it(below: str, above: tuple[str, ...]) -> None:
    drawn = arrows()[below]
    assert {name: sorted(drawn[name]) for name in above if name in drawn} == {}


def test_the_library_imports_no_streamlit_and_figures_no_torch() -> None:
    for path in (ROOT / CORE).rglob("*.py"):
        if path.name != "dashboard.py":
            assert "import streamlit" not in path.read_text(encoding="utf-8"), path
    for path in (ROOT / CORE / "figures").rglob("*.py"):
        assert "import torch" not in path.read_text(encoding="utf-8"), path


def test_importing_the_library_and_its_registries_loads_no_torch() -> None:
    code = (
        "import sys, unlearning_core, unlearning_core.cli.app, unlearning_core.methods.registry, "
        "unlearning_core.rankers.registry, unlearning_core.evaluation.registry, unlearning_core.runs.run\n"
        "print(sorted({'torch', 'transformers', 'streamlit', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nobody_outside_runs_builds_a_path_in_a_run() -> None:
    for path in sources():
        if (ROOT / CORE / "runs") not in path.parents:
            text = path.read_text(encoding="utf-8")
            assert "run.folder /" not in text, path


def test_files_are_named_for_what_is_in_them_and_none_grows_without_end() -> None:
    for path in sources():
        assert path.stem not in FORBIDDEN
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= LONGEST or path.name == "run.py", (path, lines)
