"""`unlearn gguf`: a run's model as one file for llama.cpp, Ollama, LM Studio and their like."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from unlearning_core.cli.options import Bar, OutputFile, RunFolder, check_folder_of, open_folder


def gguf_command(
    run: RunFolder,
    /,
    *,
    state: str | None = None,
    kind: Annotated[Literal["f16", "q8_0"], Parameter(name="--type")] = "f16",
    output: Annotated[OutputFile | None, Parameter(alias="-o")] = None,
    progress: Bar,
) -> None:
    """Write one of a run's models as a GGUF file, which llama.cpp and what is built on it read.

    Args:
        state: which model: base, pruned, retrained, ... (default: the last one of the run).
        kind: f16, or q8_0 with half the size.
        output: the file to write (default: the run's name, the state and the type, here).
    """
    from unlearning_core.errors import InputError
    from unlearning_core.methods.registry import check_state, states_of
    from unlearning_core.models.gguf_export import write_gguf
    from unlearning_core.models.sources.resolve import gguf_file
    from unlearning_core.runs.context import RunContext

    opened = open_folder(run)
    config = opened.config
    chosen = check_state(state or states_of(config)[-1], states_of(config))
    context = RunContext(opened, progress)
    if output is not None and output.exists():
        raise InputError(f"--output {output} is there already; give another name or delete it.")
    target = output or Path(f"{opened.id}-{chosen}-{kind}.gguf")
    check_folder_of(target)
    source = gguf_file(config.base_model.base_model_path)
    notes = write_gguf(
        context.saved_model(chosen),
        target,
        kind,
        like=source,
        licence=context.base_facts()[0].licence,
        progress=progress,
    )
    progress.close()
    for note in notes:
        print(note, file=sys.stderr)
    print(target)
