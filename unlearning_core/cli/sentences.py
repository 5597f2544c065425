"""`unlearn sentences`: text for a concept where there is none."""

from typing import Literal

from unlearning_core.cli.options import Bar, ConceptOptions, OutputFile
from unlearning_core.errors import InputError
from unlearning_core.writing.writer import WriterSettings, write_sentences, writing_dtype


def sentences_command(
    *,
    model: str,
    concept: ConceptOptions,
    count: int,
    concept_share: float = 0.5,
    seed: int = 0,
    revision: str | None = None,
    extra_tokens: Literal["refuse", "resize", "drop"] = "refuse",
    allow_pickle: bool = False,
    output: OutputFile,
    progress: Bar,
) -> None:
    """Let the model write sentences with and without the concept.

    Args:
        model: folder, .gguf file, Hub id or starter.
        count: sentences in all.
        concept_share: fraction of them with the concept.
        seed: of the sampling.
        revision: branch, tag or commit of a Hub model.
        extra_tokens: what to do about tokens of the tokenizer without a row in the embedding: refuse, resize (new rows)
            or drop (do without them).
        allow_pickle: load weights that can run code (.bin, .pt) too.
        output: a .jsonl, .json or .txt file.
    """
    from unlearning_core.models.loading import load_model

    if output.suffix.lower() not in (".jsonl", ".json", ".txt"):
        raise InputError(f"--output is {output}; expected a name that ends in .jsonl, .json or .txt.")
    wanted = concept.concept()
    settings = WriterSettings(
        model=model, words=wanted.words, count=count, concept_share=concept_share, seed=seed,
        revision=revision, extra_tokens=extra_tokens,
    )  # fmt: skip
    loaded = load_model(
        model, revision=revision, allow_pickle=allow_pickle, extra_tokens=extra_tokens,
        dtype=writing_dtype(), progress=progress,
    )  # fmt: skip
    report = write_sentences(loaded, wanted, output, settings, progress)
    progress.close()
    print(
        f"{report['sentences']} sentences, {report['with_concept']} with the concept; dropped: "
        + (", ".join(f"{number} {reason}" for reason, number in report["dropped"].items()) or "none")
    )
    print(output)
