"""The labelled sentences as tokens and labels files, for a download."""

import tempfile
from pathlib import Path

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.tokens_labels import write
from unlearning_core.runs.run import Run


def label_files(run: Run, items: list[LabelledText]) -> dict[str, bytes]:
    """Contents by name, in the format of `python -m unlearning_core label`."""
    label = run.config.neural_probing.activations_label or "concept"
    safe = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in label)
    with tempfile.TemporaryDirectory() as folder:
        written = write(Path(folder) / safe, items, run.config.neural_probing.target_label)
        return {path.name: path.read_bytes() for path in (written.tokens, written.labels, written.inverse)}
