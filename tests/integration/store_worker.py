"""What test_kills.py kills: forks a child at every line it reads, which works on runs and their store until it dies."""

import os
import random
import signal
import sys
import traceback
from pathlib import Path

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.runs.listing import delete_run, list_runs, remove_unused
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.run import Run

STEPS = {
    "label": ("data/train.jsonl", "data/held_out.jsonl"),
    "prune": ("recipe/recipe.json", "models/pruned/model.safetensors", "models/pruned/config.json"),
    "retrain": ("models/retrained/model.safetensors",),
    "report": ("metrics.json", "generations.json"),
}


def content(step: str, fingerprint: str, name: str) -> bytes:
    """What the file has to hold: by it a mixture of two results is known."""
    return f"{step} {fingerprint} {name} ".encode() * 400


def make(run: Run, step: str, fingerprint: str) -> None:
    """As the pipeline does: drop, build, point, show."""
    with run.manifest.working("making a step"):
        run.drop(step)
        with run.store.build(step, fingerprint, then=lambda artifact: run.point(step, artifact)) as build:
            if build.artifact is None:
                for name in STEPS[step]:
                    path = build.folder / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content(step, fingerprint, name))
                build.summary = {"made": fingerprint}
        assert build.artifact is not None
        run.show(build.artifact)


def work(root: Path, seed: int) -> None:
    """Make, take over, delete, without end."""
    pick = random.Random(seed)
    config = ExperimentConfig()
    while True:
        runs = [run for run in list_runs(root) if run.id != "canary"]
        act = pick.random()
        try:
            if act < 0.1 or not runs:
                create_run(config, root)
            elif act < 0.2 and len(runs) > 2:
                delete_run(pick.choice(runs))
            elif act < 0.25:
                remove_unused(runs[0].store)
            elif act < 0.35:
                runs[0].write_note("guide", {"guided": True})
            else:
                # Few fingerprints: most results are taken over from another run.
                make(pick.choice(runs), pick.choice(list(STEPS)), f"{pick.randrange(6):04d}")
        except InputError:  # a run of the other process: being worked on, or just deleted
            continue


def main(root: Path) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                work(root, int(line))
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
