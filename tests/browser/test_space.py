"""The Space as its Dockerfile starts it: that command in that environment, installed and read-only, in Chromium.

What is public of it is seen from outside: a stranger's settings name no path of the server, and strangers see no runs
of each other.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import well_behaved
from tests.browser.walking import LONG, open_section, settled, upload
from tests.unit.test_project_files import BUNDLED, PROJECT, arguments, space_environment
from unlearning_core.files import ROOT

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with the package as a wheel holds it; nothing in it may be written."""
    folder = tmp_path_factory.mktemp("installed")
    package = folder / "unlearning_core"
    shutil.copytree(ROOT / "unlearning_core", package, ignore=shutil.ignore_patterns("__pycache__"))
    for source, target in BUNDLED.items():
        place = folder / target
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, place)
    for path in (*folder.rglob("*"), folder):
        path.chmod(path.stat().st_mode & ~0o222)
    return folder


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def space(installed: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the demo, served from an empty home."""
    before = files(installed)
    (command,) = (json.loads(rest) for rest in arguments("space/Dockerfile", "CMD"))
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = str(probe.getsockname()[1])
    module, function = PROJECT["scripts"][command[0]].split(":")
    words = [port if word == command[command.index("--port") + 1] else word for word in command[1:]]
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1",
        **space_environment(), "UNLEARNING_PUBLIC_FREE_DISK_MB": "0",
    }  # fmt: skip
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from {module} import {function}; {function}()", *words],
            cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        until_well(f"http://localhost:{port}", process)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(120)
    assert files(installed) == before


def until_well(address: str, process: "subprocess.Popen[bytes]") -> None:
    """Until the check of the Dockerfile's HEALTHCHECK is answered."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=30) as answer:
                assert answer.read() == b"ok"
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the demo ended before it answered")


def visit(browser: Browser, address: str) -> Page:
    """A tab of a browser of its own."""
    tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    tab.set_default_timeout(LONG)
    tab.goto(address)
    settled(tab)
    return tab


def test_the_demo_answers_reads_no_path_and_keeps_visitors_apart(browser: Browser, space: str, tmp_path: Path) -> None:
    page = visit(browser, space)
    with well_behaved(page):
        expect(page.get_by_role("heading", name="Unlearning Workbench", level=1)).to_be_visible()
        expect(page.get_by_test_id("stSidebar")).to_contain_text("only this browser sees your runs")
        page.goto(f"{space}/runs")
        settled(page)
        hostile, fine = tmp_path / "hostile.json", tmp_path / "fine.json"
        hostile.write_text('{"neural_probing": {"sentences": "/proc/self/environ"}}', encoding="utf-8")
        shutil.copy(ROOT / "data" / "starters" / "smallworld.json", fine)
        open_section(page, "Start a run from a config.json")
        upload(page, "config.json", hostile)
        refused = page.get_by_test_id("stAlertContentError")
        expect(refused).to_contain_text("names something that this public server does not read")
        assert "/" not in refused.inner_text()
        page.reload()
        settled(page)
        open_section(page, "Start a run from a config.json")
        upload(page, "config.json", fine)
        page.get_by_role("button", name="Start a run with these settings").click()
        expect(page.get_by_test_id("stSidebar")).to_contain_text("smallworld")
        settled(page)
        run = page.url.partition("run=")[2].partition("&")[0]
        assert (tmp_path / "runs" / "visitors").is_dir()
        # Another tab of the same browser is the same visitor; another browser is another one.
        again = page.context.new_page()
        again.goto(f"{space}/runs?run={run}")
        settled(again)
        expect(again.get_by_test_id("stMain")).to_contain_text(run)
        stranger = visit(browser, f"{space}/runs?run={run}")
        expect(stranger.get_by_test_id("stAlertContentError")).to_contain_text("There is no run")
        expect(stranger.get_by_test_id("stMain")).to_contain_text("You have no runs yet")
        stranger.context.close()
    page.context.close()
