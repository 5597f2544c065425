"""`unlearn label`: the seed's three files from plain sentences."""

from unlearning_core.cli.options import Bar, ConceptOptions, ReadingOptions
from unlearning_core.concepts.labelling import label
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.reading import listed
from unlearning_core.concepts.sentences import as_sentences
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.tokens_labels import write


def label_command(
    *, concept: ConceptOptions, sentences: str, reading: ReadingOptions | None = None, output_prefix: str, progress: Bar
) -> None:
    """Write sentences as the seed's PREFIX-tokens.txt, PREFIX-labels.txt and PREFIX-inverse.txt.

    Args:
        sentences: text, JSON, JSON lines, a table, a document, a folder or a dataset.
        output_prefix: how the names of the three files begin.
    """
    texts = read_texts(sentences, **(reading or ReadingOptions()).settings(), progress=progress)
    labelled = label(as_sentences(texts), Matcher(concept.concept()), progress)
    progress.close()
    written = write(output_prefix, labelled)
    print(written.tokens, written.labels, written.inverse, sep="\n")
    print(
        f"{len(labelled.with_concept)} sentences with the concept, {len(labelled.without)} without, "
        f"{labelled.duplicates} duplicates dropped"
    )
    if labelled.missing:
        print(f"Words that never occur: {listed(labelled.missing)}")
