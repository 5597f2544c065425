"""The dashboard in Chromium: how long until the first page, another page, a heatmap, and what a slider's move shows.

For each starter a run is prepared through its cut, and a server of its own is driven by Playwright at 1280 x 900. Each
figure is the median of several measurements, in seconds, by the clock of the browser: from the key or click to the end
of what it set off.

- first_page: from starting `streamlit run` until its first page is drawn.
- page_switch: from a click in the navigation until the page is drawn; each page has been opened once before.
- heatmap: from the click that opens Neurons until the heatmap is drawn.
- card: from a click on a neuron until its card shows its numbers and when it is active; another card was open before.
- card_everything: until it also says what happens if only this neuron is cut.
- first_words: from a key on the ratio's slider until the first new words of the cut model are there.
- slider_preview: until all its words are there and the numbers that go with them.
- slider_everything: until the script of the page has ended.
- slider_beside_curves: as slider_preview, while a process of the dashboard computes the run's curves.
- sessions_*, one_session_*: with `--sessions N`, of N visitors who move the slider at once (bench/sessions.py).
- memory_after_moves_ratio: memory of the server (resident set) after many moves of the slider over that after 20.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from bench.browser import SETTLED, Tab, open_browser
from bench.sessions import sessions
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.runs.run import Run
from unlearning_core.runs.sweep import other_is_running

ROOT = Path(__file__).resolve().parents[1]
STARTERS = ("smallworld", "smollm2")
_GOALS = {
    "first_page_seconds": 2.0,
    "page_switch_seconds": 0.5,
    "heatmap_seconds": 1.0,
    "memory_after_moves_ratio": 1.05,
    "sessions_slider_seconds": 2.0,
}
GOALS = {
    "smallworld": _GOALS | {"card_seconds": 0.5, "slider_preview_seconds": 0.4, "slider_beside_curves_seconds": 0.4},
    "smollm2": _GOALS | {"first_words_seconds": 1.0},
}
_PAGES = ("Model", "Concept", "Neurons", "Prune", "Retrain", "Compare")
_FIRST_CARD = (0.02, 0.5)
"""Where the first neuron is clicked, as shares of the picture: reading many of them at once comes with the first."""

_FEW = {"max_concept_sentences": 60, "max_retain_sentences": 60}
"""Sentences that the run is prepared on: what is measured depends neither on how many there were nor on the ranker."""


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench ui`."""
    add("--starters", nargs="+", choices=STARTERS, default=list(STARTERS))
    add("--repeats", type=int, default=5, help="measurements of each kind (%(default)s)")
    add("--moves", type=int, default=200, help="of the slider, after which the memory is read (%(default)s)")
    add("--port", type=int, default=8599)
    add("--sessions", type=int, default=0, help="measure so many visitors at once instead, on the Prune page")


def main(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure every starter, print and return the figures."""
    if arguments.repeats < 1:
        raise InputError(f"--repeats is {arguments.repeats}; at least 1 measurement of each kind is needed.")
    if arguments.moves < 1:
        raise InputError(f"--moves is {arguments.moves}; at least 1 move of the slider is needed.")
    figures = {}
    with tempfile.TemporaryDirectory() as folder, open_browser() as new_tab:
        for name in arguments.starters:
            runs = Path(folder) / name
            run = prepare(name, runs)
            if arguments.sessions:
                with server(runs, arguments.port) as (url, _):
                    found = sessions(new_tab, f"{url}/prune?run={run}", arguments.sessions, arguments.repeats)
                figures[name] = {figure: round(value, 3) for figure, value in found.items()}
            else:
                figures[name] = measure(new_tab, run, runs, arguments)
            for figure, seconds in figures[name].items():
                goal = GOALS[name].get(figure)
                unit = " s" if figure.endswith("_seconds") else "  "
                print(
                    f"{name:<12}{figure:<30}{seconds:8.2f}{unit}" + (f"   (goal {goal:g})" if goal else ""), flush=True
                )
    return figures


def prepare(starter: str, runs: Path) -> str:
    """A run of the starter's own experiment, on few sentences, through its measured cut; returns its id."""
    command = [sys.executable, "-m", "unlearning_core", "run", "--starter", starter, "--output-dir", str(runs), "--set"]
    command += [f"neural_probing.{key}={value}" for key, value in _FEW.items()]
    command += ["neural_probing.ranker=activation_ratio", "neural_probing.ranker_parameters={}"]
    command += ["evaluation.max_sentences=20", "generation.samples=1", "retraining.enabled=false", "push_to_hub=null"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise WorkFailed(f"The run of {starter} that is to be shown could not be prepared: {last}")
    return Path(done.stdout.strip().splitlines()[-1]).name


def measure(new_tab: Callable[[], Tab], run: str, runs: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """All figures of one run."""
    found: dict[str, list[float]] = defaultdict(list)
    repeats = arguments.repeats
    for _ in range(repeats):
        found["first_page_seconds"].append(first_page(new_tab, runs, arguments.port))
    with server(runs, arguments.port) as (url, process):
        tab = new_tab()
        # The last of them, for a click on the page that one is on draws nothing.
        tab.open(f"{url}/{_PAGES[-1].lower()}?run={run}")
        for page in _PAGES:
            tab.go_to(page)
        for _ in range(repeats):
            found["page_switch_seconds"].extend(tab.go_to(page) for page in _PAGES)
        for _ in range(repeats):
            tab.go_to("Model")
            found["heatmap_seconds"].append(tab.until_heatmap("Neurons"))
        tab.open_card(*_FIRST_CARD)
        for number in range(repeats):
            shown, everything = tab.open_card(0.1 + 0.8 * (number + 1) / (repeats + 1), 0.1 + 0.2 * (number % 4))
            found["card_seconds"].append(shown)
            found["card_everything_seconds"].append(everything)
        tab.go_to("Prune")
        tab.wider_range()
        for _ in range(repeats):
            names = ("first_words_seconds", "slider_preview_seconds", "slider_everything_seconds")
            for name, seconds in zip(names, tab.move_slider(), strict=True):
                found[name].append(seconds)
        # Before the many moves: what they came by is remembered, and would be shown without being measured.
        found["slider_beside_curves_seconds"].extend(beside_curves(tab, Run(runs / run), repeats))
        tab.show("What it writes")
        found["memory_after_moves_ratio"].append(memory_ratio(tab, process, arguments.moves))
        tab.close()
    return {name: round(statistics.median(values), 3) for name, values in found.items()}


def memory_ratio(tab: Tab, process: psutil.Process, moves: int) -> float:
    """Memory of the server after `moves` moves of the slider over its memory after 20."""
    tab.sweep_slider(20)
    before = process.memory_info().rss
    tab.sweep_slider(moves)
    return float(process.memory_info().rss / before)


def beside_curves(tab: Tab, run: Run, repeats: int) -> list[float]:
    """Seconds from a move of the slider to words and numbers, while the curves are being computed.

    A small model's curves may be ready before `repeats` moves: those that were in time are returned.

    Raises:
        WorkFailed: not one was.
    """
    tab.start_curves()
    tab.show("What it writes")
    seconds: list[float] = []
    while len(seconds) < repeats:
        moved = tab.move_slider()[1]
        if not other_is_running(run):
            break
        seconds.append(moved)
    else:
        tab.stop_curves()
    if not seconds:
        raise WorkFailed("The curves were ready before the slider had moved once.")
    return seconds


def first_page(new_tab: Callable[[], Tab], runs: Path, port: int) -> float:
    """Seconds from `streamlit run` to the first page."""
    tab = new_tab()
    started = time.perf_counter()
    with server(runs, port) as (url, _):
        tab.open(url)
        seconds = time.perf_counter() - started - SETTLED
        tab.close()
    return seconds


@contextmanager
def server(runs: Path, port: int) -> Iterator[tuple[str, psutil.Process]]:
    """A dashboard on these runs; yields its address as soon as it answers, and its process.

    Raises:
        WorkFailed: it did not start within a minute.
    """
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    command += ["--server.address", "localhost", "--server.headless", "true"]
    environment: dict[str, Any] = os.environ | {"UNLEARNING_RUNS": str(runs)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _answers(process, f"http://localhost:{port}")
        yield f"http://localhost:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _answers(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise WorkFailed(f"The dashboard did not start at {url}. Is something else there? Choose another --port.")
