"""A GGUF model becomes a safetensors folder, once: left quantised, it can be neither edited nor saved."""

import logging
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unlearning_core.compat import building_a_model, gguf_names_of, watching_loaded_keys
from unlearning_core.errors import InputError, WorkbenchError
from unlearning_core.models.devices import check_fits
from unlearning_core.models.integrity import check_loaded
from unlearning_core.models.loading_bars import reporting
from unlearning_core.models.sources.extra_tokens import special_ids_beyond
from unlearning_core.models.sources.folder import first_line, rows_of
from unlearning_core.models.sources.gguf import GgufHeader
from unlearning_core.models.sources.gguf_checks import check_header, check_written
from unlearning_core.models.sources.gguf_keys import settle
from unlearning_core.models.sources.gguf_parts import WholeGguf, join
from unlearning_core.models.sources.gguf_rope import FACTORS, rope_settings, with_rope
from unlearning_core.models.sources.prepared import check_space, prepare_once
from unlearning_core.progress import Progress, ProgressCallback, silent

_log = logging.getLogger(__name__)


def dequantise(
    whole: WholeGguf,
    target: Path,
    sha256: str,
    *,
    facts: dict[str, Any] | None = None,
    progress: ProgressCallback = silent,
) -> Path:
    """Write a GGUF model as float32 safetensors with its tokenizer into `target`, as `prepare_once` does.

    The folder's stamp says `sha256`, which is the identity of `whole`, what was checked, and `facts` (licence, title).

    Raises:
        InputError: the model is not a causal language model that transformers can read, lacks tensors, has some that
            would be left out, or does not fit in memory.
        WorkFailed: the disk has too little space left.
    """

    def fill(folder: Path) -> dict[str, Any]:
        header, several = whole.header, len(whole.parts) > 1
        check_header(whole)
        check_written(whole)
        # transformers holds the dequantised arrays and the model made from them at the same time.
        check_fits(whole.name, 2 * 4 * header.parameters, "cpu", "dequantised to float32")
        size = sum(part.stat().st_size for part in whole.parts) if several else 0
        check_space(whole.name, int(4.2 * header.parameters) + size, target, "dequantised")
        started = time.monotonic()
        with TemporaryDirectory(dir=folder, prefix=".parts-") as parts:
            file = join(whole, Path(parts) / f"{whole.name}.gguf", progress) if several else whole.parts[0]
            _convert(file, whole.parts[0], header, folder, progress)
        _log.info("dequantised %s in %.1f s", whole.parts[0], time.monotonic() - started)
        checked = {"tensors": len(header.tensors), "parts": [part.name for part in whole.parts], "all_used": True}
        licence = {"source": whole.parts[0].name, "licence": header.licence}
        return {**licence, **(facts or {}), "checked": checked}

    return prepare_once(target, sha256, fill, progress)


def _convert(file: Path, given: Path, header: GgufHeader, folder: Path, progress: ProgressCallback) -> None:
    """Write the model in `file` into `folder`; the sentences name the file that was `given`."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where, name = str(file.parent), file.name
    try:
        # One long call without a sign of life: the vocabulary is read string by string.
        progress(Progress(f"reading the tokenizer of {name}", 0, None))
        tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name, local_files_only=True)
        progress(Progress(f"reading the settings of {name}", 0, None))
        config = AutoConfig.from_pretrained(where, gguf_file=name, local_files_only=True)
        settle(str(given), header, config)
        if scaling := rope_settings(file, header, config):
            with_rope(config, **scaling)
        for key in special_ids_beyond(config.to_dict(), rows_of(config)):
            setattr(config, key, None)  # a family's default for an id that the file does not name
        # A second loop hands the arrays to the model at once; it would start the same bar again.
        told = reporting(f"dequantising {name}", lambda report: progress(report) if report.unit != "tensors" else None)
        with told, building_a_model(), watching_loaded_keys() as keys:
            model, report = AutoModelForCausalLM.from_pretrained(
                where,
                config=config,
                gguf_file=name,
                quantization_config=GgufConfig(dequantize=True),
                dtype="float32",
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # `check_loaded` names the tensor
            )
            found = keys()
    except WorkbenchError:
        raise
    except Exception as error:  # a wrong value raises whatever transformers' own checks raise
        raise InputError(
            f"{given} cannot be read as a causal language model of the family {header.architecture!r} "
            f"({first_line(error.__cause__ or error)}). Choose a GGUF file of a family that transformers can "
            "dequantise, or a safetensors folder."
        ) from error
    check_loaded(str(given), model, found, report, {})
    _check_all_used(given, header, model)
    # A GGUF names no limit of the tokenizer; the model's own is the true one.
    if limit := getattr(model.config, "max_position_embeddings", None):
        tokenizer.model_max_length = limit
    saving, expected = f"saving {name} as safetensors", 4 * header.parameters
    progress(Progress(saving, 0, expected, "bytes"))
    with reporting(saving, silent):
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(0o644)
    progress(Progress(saving, expected, expected, "bytes"))


def _check_all_used(given: Path, header: GgufHeader, model: Any) -> None:
    """Refuse a tensor that transformers has no name for: it would be dropped.

    A table of rotary factors is read apart (`rope_settings`); of experts the names end before ".weight".
    """
    names = gguf_names_of(model, header.architecture) | {FACTORS}
    left = [name for name in header.tensors if name not in names and name.removesuffix(".weight") not in names]
    if left:
        raise InputError(
            f"{given} holds {len(left)} tensors that transformers has no place for ({', '.join(left[:3])}"
            f"{', ...' if left[3:] else ''}); without them it would be another model. Choose the model's safetensors "
            "folder."
        )
