"""The wheel as a person gets it: in an environment of its own, used from an empty folder, the checkout out of sight."""

import json
import os
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from unlearning_core.files import ROOT

pytestmark = pytest.mark.slow

FIRST_PAGE = """
import sys
from streamlit.testing.v1 import AppTest
from unlearning_core.files import ROOT

sys.path.insert(0, str(ROOT))  # as `streamlit run` does
app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600).run()
assert not app.exception, app.exception
print(app.title[0].value)
"""


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and what is installed here in place of its dependencies.

    Attributes:
        bin: its commands.
        packages: its site-packages.
    """

    bin: Path
    packages: Path

    def command(self, *words: object, folder: Path) -> "subprocess.CompletedProcess[str]":
        name, *arguments = map(str, words)
        return subprocess.run(
            [str(self.bin / name), *arguments],
            cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=800, check=False,
        )  # fmt: skip

    def files(self) -> set[Path]:
        """All that lies in the installed package."""
        return files_of(self.packages / "unlearning_core")


def environment(folder: Path) -> dict[str, str]:
    """Of a process that knows no checkout and has its home in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UNLEARNING"))}
    own = {"HOME": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return kept | own


def files_of(folder: Path) -> set[Path]:
    """The files in `folder`, relative to it, without compiled ones."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*pip, *build], check=True, timeout=800)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    paths = sysconfig.get_paths("venv", vars={"base": str(folder / "env"), "platbase": str(folder / "env")})
    scripts, packages = Path(paths["scripts"]), Path(paths["purelib"])
    subprocess.run(
        [*pip, "--python", str(scripts / "python"), "install", "--no-deps", "--no-index", str(wheel)],
        check=True, timeout=800,
    )  # fmt: skip
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return Installed(scripts, packages)


def test_the_checkout_is_out_of_sight(installed: Installed, tmp_path: Path) -> None:
    code = "import json, sys, unlearning_core; print(json.dumps([unlearning_core.__file__, *sys.path]))"
    found = installed.command("python", "-c", code, folder=tmp_path)
    own, *path = json.loads(found.stdout)
    assert Path(own).is_relative_to(installed.packages)
    assert str(ROOT) not in path


def test_the_wheel_holds_every_file_of_the_package_the_pages_the_data_and_the_three_small_models(
    installed: Installed,
) -> None:
    bundled = Path("_bundled")
    expected = files_of(ROOT / "unlearning_core") | {bundled / "app.py", bundled / ".streamlit" / "config.toml"}
    models = ("models/smallworld", "models/smallworld-never-knew-seats", "models/smallworld-routed-seats")
    for name in ("pages", "data", *models):
        expected |= {bundled / name / path for path in files_of(ROOT / name)}
    assert installed.files() == expected


def test_a_whole_run_in_an_empty_folder_ends_and_writes_nothing_into_the_package(
    installed: Installed, tmp_path: Path
) -> None:
    before = installed.files()
    settings = ["neural_probing.ranker=mean_difference", "retraining.max_train_texts=40", "retraining.batch_size=8"]
    settings += ["evaluation.max_sentences=20", "never_knew.max_questions=10", "never_knew.max_texts=10"]
    settings += ["generation.samples=1", "generation.max_new_tokens=5", "retraining.max_steps=3"]
    settings += ["proof.max_questions=8", "proof.question_samples=0", "proof.answer_tokens=8"]
    done = installed.command("unlearn", "run", "--set", *settings, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    run = Path(done.stdout.splitlines()[-1])
    assert run.parent == tmp_path / "runs"
    assert list(json.loads((run / "metrics.json").read_text(encoding="utf-8"))) == ["base", "pruned", "retrained"]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["logs", "runs"]
    assert installed.files() == before


def test_models_that_are_unpacked_go_to_the_persons_cache(installed: Installed, tmp_path: Path) -> None:
    code = "from unlearning_core.models.sources.prepared import root; print(root())"
    assert installed.command("python", "-c", code, folder=tmp_path).stdout.strip() == str(
        tmp_path / ".cache" / "unlearning-workbench" / "models"
    )


def test_the_first_page_is_drawn(installed: Installed, tmp_path: Path) -> None:
    drawn = installed.command("python", "-c", FIRST_PAGE, folder=tmp_path)
    assert drawn.stdout.strip() == "Unlearning Workbench", drawn.stderr


def test_the_dashboard_is_served_where_the_command_says(installed: Installed, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with _served(installed, port, tmp_path) as url:
        assert _ask(f"{url}/_stcore/health") == "ok"
        assert "<title>" in _ask(url)


@contextmanager
def _served(installed: Installed, port: int, folder: Path) -> Iterator[str]:
    command = [str(installed.bin / "unlearning-workbench"), "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=output, stderr=subprocess.STDOUT)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 300
    try:
        while server.poll() is None and time.monotonic() < deadline:
            try:
                _ask(f"{url}/_stcore/health")
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        else:
            pytest.fail(f"the dashboard did not start:\n{log.read_text(errors='replace')[-3000:]}")
        assert url in log.read_text(encoding="utf-8")
        yield url
    finally:
        server.terminate()
        server.wait(120)


def _ask(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())
