"""The first step: a model, loaded."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.words import Concept as Words
from unlearning_core.concepts.words import parse_words, read_words
from unlearning_core.config.reading import changed
from unlearning_core.config.schema import BaseModelSection, ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import write_json
from unlearning_core.notebook.bar import told
from unlearning_core.notebook.drawing import draw
from unlearning_core.notebook.session import Session
from unlearning_core.notebook.steps import Concept
from unlearning_core.notebook.texts import Texts, write
from unlearning_core.progress import ProgressCallback, size
from unlearning_core.runs.store import digest
from unlearning_core.runs.tuning.experiment import about, built, own_concept, text_about, values_of

if TYPE_CHECKING:
    import pandas as pd


def load(
    model: str | Path = "smallworld",
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    runs: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> "Model":
    """Load a causal language model.

    Args:
        model: a starter ("smallworld", "smollm2"), a folder, a .gguf file, a zip of a folder or a Hub id.
        revision: branch, tag or commit of a Hub model.
        device: auto, cpu, cuda, cuda:0 or mps.
        dtype: auto (bfloat16 on CUDA, float32 elsewhere), float32, bfloat16 or float16.
        runs: folder of the runs; without it UNLEARNING_RUNS, or `runs` in the working folder, as for the dashboard.
        progress: hears how far each step is, in place of a bar below the cell; may raise Stopped.

    Raises:
        InputError: it is no causal language model that can be cut, is not whole, does not fit in memory or cannot be
            had; the sentence says which and what to do.
    """
    from unlearning_core.config.reading import find_path
    from unlearning_core.models.loading import load_model

    name = str(model)
    chosen = BaseModelSection(base_model_path=name, revision=revision, device=device, dtype=dtype)
    with told(progress) as (listener, _):
        loaded = load_model(find_path(name, Path.cwd()), revision=revision, device=device, dtype=dtype,
                            progress=listener)  # fmt: skip
    root = Path(runs if runs is not None else os.environ.get("UNLEARNING_RUNS") or "runs")
    settings = chosen.model_dump(include={"revision", "device", "dtype"})
    return Model(Session(name, loaded, settings, root, progress))


class Model:
    """A loaded model, whole. `load` makes it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def loaded(self) -> Any:
        """The model and its tokenizer in memory: `loaded.model` and `loaded.tokenizer`, as transformers has them."""
        return self._session.loaded

    def label(
        self,
        concept: str | Path | Sequence[str],
        *,
        sentences: str | Path | Sequence[str] | None = None,
        neighbours: Sequence[str] = (),
        name: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Concept:
        """Find a concept's words in text, and set sentences aside to measure on.

        Args:
            concept: the name of the starter's own concept ("seats"), a word, words (a list, or with commas), or a file
                of words. Inflected forms count as well.
            sentences: text with and without the concept: a file, a folder, a dataset or a list of sentences. Without it
                the text that goes with the starter, where that says enough about the concept; else the model writes it.
            neighbours: words near the concept that must stay. Those the text says too little about are left out.
            name: what the concept is called; by itself its first word, or the file's name.
            settings: further settings of the config by their key, such as {"neural_probing.held_out": 0.3}; the command
                `unlearn config` lists them.

        Raises:
            InputError: the words, the text or a setting cannot be used; names it and says what to do.
            WorkFailed: the model was to write the text, and wrote nothing usable.
            Stopped: the cell was interrupted.
        """
        config = self._experiment(concept, sentences, tuple(neighbours), name)
        if settings:
            config = changed(config, settings, origin="label")
        return Concept.made(self._session, config)

    def _experiment(
        self, concept: str | Path | Sequence[str], sentences: Any, neighbours: tuple[str, ...], name: str | None
    ) -> ExperimentConfig:
        session = self._session
        text = self._text(sentences)
        if isinstance(concept, str) and own_concept(session.source, concept):
            values = values_of(session.source)
            changes = {"sentences": text, "neighbours": list(neighbours), "activations_label": name}
            values["neural_probing"] |= {key: value for key, value in changes.items() if value}
        else:
            called, words = _words(concept)
            chosen = Words(words)
            found = session.work(
                lambda progress, say: text_about(
                    session.source, chosen, text, session.root, lambda: session.loaded, progress, say
                )
            )
            values = about(session.source, chosen, name or called, neighbours, found.source, found.retain)
        values["base_model"] |= session.settings
        values["output_dir"] = str(session.root)
        return built(values, ())

    def _text(self, sentences: Any) -> str | None:
        """Where the text is; sentences in a list are written down beside the runs."""
        if sentences is None:
            return None
        if isinstance(sentences, str | Path):
            path = Path(sentences).expanduser()
            return str(path.resolve()) if path.exists() else str(sentences)
        listed = list(sentences)
        if wrong := next((one for one in listed if not isinstance(one, str)), None):
            raise InputError(f"sentences holds a {type(wrong).__name__}; expected a list of sentences, or a path.")
        target = self._session.root.resolve() / ".written" / f"{digest(listed)[:16]}.json"
        if not target.is_file():
            write_json(target, listed)
        return str(target)

    def generate(
        self,
        prompts: str | Sequence[str],
        *,
        samples: int = 1,
        temperature: float = 0.0,
        max_new_tokens: int = 40,
        seed: int = 0,
    ) -> Texts:
        """Let the model go on from prompts; arguments and errors as in `Step.generate`."""
        given = {"samples": samples, "temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
        return self._session.work(
            lambda progress, _: write({"base": self._session.loaded}, prompts, given, None, progress)
        )

    def to_frame(self) -> "pd.DataFrame":
        """What there is to cut: a row a kind of neuron (site), with its layers and its neurons a layer."""
        import pandas as pd

        rows = [(site, *shape) for site, shape in self._session.loaded.info.shapes.items()]
        return pd.DataFrame(rows, columns=["site", "layers", "neurons_per_layer"])

    def _repr_html_(self) -> str:
        info = self._session.loaded.info
        facts = {
            "Family": info.model_type, "Layers": f"{info.layers}", "Parameters": f"{info.parameters:,}",
            "In memory": f"{size(info.bytes_in_memory)} as {info.dtype} on {info.device}",
            "MLP neurons": f"{info.shapes['mlp'][1]:,} a layer" if "mlp" in info.shapes else None,
            "Licence": info.licence,
        }  # fmt: skip
        return draw(self._session.source, facts=facts, notes=info.notes)

    def __repr__(self) -> str:
        info = self._session.loaded.info
        return (
            f"<Model {self._session.source}: {info.model_type}, {info.layers} layers, {info.parameters:,} parameters>"
        )


def _words(concept: str | Path | Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """(what it is called, its words)."""
    if isinstance(concept, Path) or (isinstance(concept, str) and Path(concept).is_file()):
        return Path(concept).stem, read_words(concept)
    words = parse_words(concept) if isinstance(concept, str) else tuple(concept)
    if not words:
        raise InputError("concept is empty. Give a word, a list of words, or a file of words.")
    return words[0], words
