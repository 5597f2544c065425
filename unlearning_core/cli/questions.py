"""`unlearn questions`: questions about a concept where there are none."""

from collections import Counter
from pathlib import Path

from unlearning_core.cli.options import Bar, ConceptOptions, ModelOptions, OutputFile
from unlearning_core.errors import InputError


def questions_command(
    *,
    model: ModelOptions,
    concept: ConceptOptions,
    sentences: str | None = None,
    neighbours: Path | None = None,
    count: int = 60,
    seed: int = 0,
    output: OutputFile,
    progress: Bar,
) -> None:
    """Let the model write questions about the concept of which it knows the answers; a person reads them through.

    Args:
        sentences: text from which fill-ins and contexts are taken.
        neighbours: a file of words that stand near the concept and must stay.
        count: questions about the concept at most; half as many about neighbours and about other things.
        seed: of the sampling.
        output: a .jsonl file that is not there yet.
    """
    from unlearning_core.concepts.texts import read_texts
    from unlearning_core.concepts.words import read_words
    from unlearning_core.evaluation.question_sets import write_question_set
    from unlearning_core.writing.questions import write_questions

    if output.suffix.lower() != ".jsonl":
        raise InputError(f"--output is {output}; expected a name that ends in .jsonl.")
    if output.exists():
        raise InputError(f"{output} is there already, and may have been edited. Give another name, or delete it.")
    wanted = concept.concept()
    near = read_words(neighbours) if neighbours else ()
    texts = read_texts(sentences, progress=progress) if sentences else ()
    loaded = model.load(progress)
    written = write_questions(loaded, wanted, count, seed, neighbours=near, texts=texts, progress=progress)
    progress.close()
    write_question_set(output, written.questions)
    kinds = Counter((each.about, each.form) for each in written.questions)
    for (about, form), number in kinds.items():
        print(f"{number} {form.replace('_', ' ')}, about {about}")
    print("dropped: " + (", ".join(f"{number} {reason}" for reason, number in written.dropped.items()) or "none"))
    print(output)
