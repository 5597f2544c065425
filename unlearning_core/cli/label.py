"""`unlearn label`: the seed's three files from plain sentences."""

from unlearning_core.cli.options import Bar, ConceptOptions
from unlearning_core.concepts.labelling import label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.tokens_labels import write


def label_command(
    *, concept: ConceptOptions, sentences: str, column: str | None = None, output_prefix: str, progress: Bar
) -> None:
    """Write sentences as the seed's PREFIX-tokens.txt, PREFIX-labels.txt and PREFIX-inverse.txt.

    Args:
        sentences: text, JSON, JSON lines, CSV, a folder or a dataset.
        column: text column of a CSV or dataset.
        output_prefix: how the names of the three files begin.
    """
    texts = read_texts(sentences, column=column, progress=progress)
    labelled = label(as_sentences(texts), Matcher(concept.concept()), progress)
    progress.close()
    written = write(output_prefix, labelled)
    print(written.tokens, written.labels, written.inverse, sep="\n")
    print(
        f"{len(labelled.with_concept)} sentences with the concept, {len(labelled.without)} without, "
        f"{labelled.duplicates} duplicates dropped"
    )
    if labelled.missing:
        print(f"Words that never occur: {', '.join(labelled.missing)}")
