"""`unlearn audit`: any model against its base."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unlearning_core.cli.evaluate import flat, print_verdict
from unlearning_core.cli.options import Bar, ConceptOptions, OutputFile, OutputFolder
from unlearning_core.files import write_json


def audit_command(
    base: Annotated[str, Parameter(name="BASE")],
    candidate: Annotated[str, Parameter(name="CANDIDATE")],
    /,
    *,
    concept: ConceptOptions,
    sentences: str | None = None,
    twin: str | None = None,
    questions: Path | None = None,
    other_texts: str | None = None,
    quick: bool = False,
    json: OutputFile | None = None,
    output_dir: OutputFolder = Path("runs"),
    progress: Bar,
) -> None:
    """Has a model that somebody else made forgotten a concept? What did it cost, does it come back?

    Both models need the same tokenizer. The folder of the run that is made of it is the last line.

    Args:
        base: what the candidate was made of: folder, .gguf file, zip, Hub id or starter.
        candidate: the model to judge, likewise.
        sentences: text with and without the concept: file, folder or dataset (default: the base writes it).
        twin: a model that never knew the concept, to compare with.
        questions: a file of questions (`unlearn questions` writes one; default: sentences to complete).
        other_texts: text of another kind, which shows what it cost (default: English paragraphs that come with this).
        quick: with about a quarter of the work, for a first look.
        json: write figures and verdict there.
        output_dir: where the run folder is made.
    """
    from unlearning_core.runs.audit import audit_config, written_sentences
    from unlearning_core.runs.pipeline import check_new_run, find_or_create_run, find_run
    from unlearning_core.runs.proof import prove

    wanted = concept.concept()
    text = sentences or str(written_sentences(base, {"model": candidate}, wanted, output_dir, progress))
    config = audit_config(
        base,
        candidate,
        str(concept.words),
        text,
        never_knew=twin,
        questions=None if questions is None else str(questions),
        other_texts=other_texts,
        language=wanted.language,
        more={"neural_probing": {"inflections": wanted.inflections}},
    )
    loaded = check_new_run(config, output_dir, progress) if find_run(config, output_dir) is None else None
    run, _ = find_or_create_run(config, output_dir)
    verdict = prove(run, progress, quick=quick, base=loaded)
    progress.close()
    print_verdict(verdict)
    if json:
        write_json(json, flat(verdict))
    print(run.folder)
