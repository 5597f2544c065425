"""`unlearn sentences`: text for a concept where there is none."""

from unlearning_core.cli.options import Bar, ConceptOptions, ModelOptions, OutputFile
from unlearning_core.errors import InputError
from unlearning_core.writing.writer import WriterSettings, write_sentences, writing_dtype


def sentences_command(
    *,
    model: ModelOptions,
    concept: ConceptOptions,
    count: int,
    concept_share: float = 0.5,
    seed: int = 0,
    output: OutputFile,
    progress: Bar,
) -> None:
    """Let the model write sentences with and without the concept.

    Args:
        count: sentences in all.
        concept_share: fraction of them with the concept.
        seed: of the sampling.
        output: a .jsonl, .json or .txt file.
    """
    if output.suffix.lower() not in (".jsonl", ".json", ".txt"):
        raise InputError(f"--output is {output}; expected a name that ends in .jsonl, .json or .txt.")
    wanted = concept.concept()
    settings = WriterSettings(
        model=model.model, words=wanted.words, count=count, concept_share=concept_share, seed=seed,
        revision=model.revision, extra_tokens=model.extra_tokens,
    )  # fmt: skip
    loaded = model.load(progress, writing_dtype())
    report = write_sentences(loaded, wanted, output, settings, progress)
    progress.close()
    print(
        f"{report['sentences']} sentences, {report['with_concept']} with the concept; dropped: "
        + (", ".join(f"{number} {reason}" for reason, number in report["dropped"].items()) or "none")
    )
    print(output)
