"""A GGUF file becomes a safetensors folder, once: left quantised, a model can be neither edited nor saved."""

import logging
import time
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError
from unlearning_core.models.loading_bars import reporting
from unlearning_core.models.memory import check_fits
from unlearning_core.models.sources.folder import first_line
from unlearning_core.models.sources.gguf_header import GgufHeader, read_gguf
from unlearning_core.models.sources.prepared import check_space, prepare_once
from unlearning_core.progress import Progress, ProgressCallback, silent

_log = logging.getLogger(__name__)


def dequantise(
    gguf: Path, target: Path, sha256: str, *, facts: dict[str, Any] | None = None, progress: ProgressCallback = silent
) -> Path:
    """Write `gguf` as float32 safetensors with its tokenizer into `target`, as `prepare_once` does.

    Args:
        sha256: checksum of `gguf`, kept in the folder's stamp.
        facts: what else the stamp shall say (licence, title).

    Raises:
        InputError: the file is not a causal language model that transformers can read, or does not fit in memory.
        WorkFailed: the disk has too little space left.
    """

    def fill(folder: Path) -> dict[str, Any]:
        header = read_gguf(gguf)
        # transformers holds the dequantised arrays and the model made from them at the same time.
        check_fits(gguf.name, 2 * 4 * header.parameters, "cpu", "dequantised to float32")
        check_space(gguf.name, int(4.2 * header.parameters), target, "dequantised")
        started = time.monotonic()
        _convert(gguf, header, folder, progress)
        _log.info("dequantised %s in %.1f s", gguf, time.monotonic() - started)
        return {"source": gguf.name, "licence": header.licence, **(facts or {})}

    return prepare_once(target, sha256, fill, progress)


def _convert(gguf: Path, header: GgufHeader, folder: Path, progress: ProgressCallback) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where, name = str(gguf.parent), gguf.name
    try:
        # One long call without a sign of life: the vocabulary is read string by string.
        progress(Progress(f"reading the tokenizer of {name}", 0, None))
        tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name, local_files_only=True)
        progress(Progress(f"reading the settings of {name}", 0, None))
        # A second loop hands the arrays to the model at once; it would start the same bar again.
        with reporting(f"dequantising {name}", lambda report: progress(report) if report.unit == "bytes" else None):
            model = AutoModelForCausalLM.from_pretrained(
                where,
                gguf_file=name,
                quantization_config=GgufConfig(dequantize=True),
                dtype="float32",
                local_files_only=True,
            )
    except (ValueError, KeyError, NotImplementedError, RuntimeError, AttributeError, TypeError) as error:
        raise InputError(
            f"{gguf} cannot be read as a causal language model of the family {header.architecture!r} "
            f"({first_line(error)}). Choose a GGUF file of a family that transformers can dequantise, or a "
            "safetensors folder."
        ) from error
    # A GGUF names no limit of the tokenizer; the model's own is the true one.
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit:
        tokenizer.model_max_length = limit
    expected = 4 * header.parameters
    progress(Progress(f"saving {name} as safetensors", 0, expected, "bytes"))
    with reporting(f"saving {name} as safetensors", lambda report: None):
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    progress(Progress(f"saving {name} as safetensors", expected, expected, "bytes"))
