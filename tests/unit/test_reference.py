"""The reference that `make docs` builds: without a warning, and with a sentence for all that a notebook can call."""

import inspect
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from unlearning_core import notebook
from unlearning_core.files import ROOT

pytestmark = pytest.mark.slow  # the reference is built


def documented() -> list[str]:
    """The modules that the Makefile names."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.search(r"^DOCS := (.+)$", text, re.MULTILINE)
    assert found is not None
    return found.group(1).split()


def members() -> list[tuple[str, object]]:
    """What a person can call or read of each public class and function, by its qualified name."""
    found: list[tuple[str, object]] = []
    for name in notebook.__all__:
        thing = getattr(notebook, name)
        found.append((name, thing))
        if inspect.isclass(thing):
            found += [
                (f"{name}.{key}", value)
                for key, value in inspect.getmembers(thing)
                if not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
            ]
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "pdoc", "--docformat", "google", "--no-show-source", "-o", str(folder), *documented()],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


def test_every_module_that_the_makefile_names_has_a_page(site: Path) -> None:
    for module in documented():
        assert (site / f"{module.replace('.', '/')}.html").is_file(), module


@pytest.mark.parametrize(("name", "thing"), members(), ids=lambda one: one if isinstance(one, str) else "")
def test_what_a_notebook_can_call_is_told_on_its_page(site: Path, name: str, thing: object) -> None:
    said = inspect.getdoc(thing) or ""
    first = said.partition("\n\n")[0]
    assert re.search(r"[.:]$", first), f"{name} has no sentence"
    page = (site / "unlearning_core" / "notebook.html").read_text(encoding="utf-8")
    shown = " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())
    words = re.sub(r"[`*]", "", " ".join(first.split()))
    assert words in shown.replace("’", "'")
    if inspect.isfunction(thing) and (arguments := set(inspect.signature(thing).parameters) - {"self"}):
        described = set(re.findall(r"^    (\w+):", said.partition("Raises:")[0], re.MULTILINE))
        assert not described - arguments, "it tells of an argument that is not there"
        assert described == arguments or "arguments and errors as in" in said, f"{name} does not tell of an argument"
