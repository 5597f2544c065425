"""A dashboard of its own on a free port, and real Chromium in front of it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.tiny_models import save_tiny

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "tests" / "artefacts"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

# They guard against waiting for ever alone: on a busy machine a page takes minutes.
expect.set_options(timeout=300_000)


@dataclass
class Dashboard:
    """A Streamlit server that this test started.

    Attributes:
        url: where it listens.
        runs: its run folders.
    """

    url: str
    runs: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    def restart(self) -> None:
        """Stop the server and start another one at the same address."""
        _end(self.process)
        self.process = _serve(int(self.url.rsplit(":", 1)[1]), self.runs, self.log)


def chromium(playwright: Playwright) -> str:
    """The path of a Chromium; fails with the command that installs one."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    own = playwright.chromium.executable_path
    if own and Path(own).is_file():
        return own
    pytest.fail("No Chromium was found. Install one: apt-get update && apt-get install -y chromium", pytrace=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(playwright), args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    runs, log = tmp_path / "runs", tmp_path / "server.log"
    port = _free_port()
    server = Dashboard(f"http://localhost:{port}", runs, _serve(port, runs, log), log)
    yield server
    _end(server.process)


@pytest.fixture
def page(browser: Browser, dashboard: Dashboard, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab, 1280 pixels wide, whose last sight is kept, and which must be `well_behaved`.

    It needs the dashboard, so that it is closed before the server is.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(300_000)
    with well_behaved(tab):
        yield tab
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=ARTEFACTS / f"last-{request.node.name}.png")
        context.close()


@contextmanager
def well_behaved(tab: Page) -> Iterator[None]:
    """Fails where a script of the tab ended with an uncaught error meanwhile, or asked anything of another machine."""
    failures: list[str] = []
    asked: list[str] = []
    tab.on("pageerror", lambda error: failures.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("websocket", lambda socket: asked.append(socket.url))
    yield
    assert failures == []
    assert [url for url in asked if urlsplit(url).hostname not in ("localhost", None)] == []


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("gpt2", tmp_path_factory.mktemp("model") / "tiny-gpt2")


def _serve(port: int, runs: Path, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    command += ["--server.address", "localhost", "--server.headless", "true"]
    environment = os.environ | {"UNLEARNING_RUNS": str(runs), "HF_HUB_OFFLINE": "1"}
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=30) as answer:
                if answer.status == 200:
                    return process
        except (urllib.error.URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
    _end(process)
    raise AssertionError(f"the dashboard did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])
