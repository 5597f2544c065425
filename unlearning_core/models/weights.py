"""Weights into memory: transformers reads them, and nothing that it leaves out or makes up goes unseen."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.compat import building_a_model, watching_loaded_keys
from unlearning_core.errors import InputError, WorkbenchError, WorkFailed
from unlearning_core.models.integrity import check_loaded
from unlearning_core.models.sources.folder import first_line, read_config
from unlearning_core.models.sources.weight_files import Weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def read_model(
    kind: Any,
    folder: Path,
    weights: Weights,
    *,
    device: str = "cpu",
    dtype: str = "auto",
    **options: Any,
) -> "tuple[PreTrainedModel, tuple[str, ...]]":
    """The model of `folder` in eval mode, whole and right, and what to tell a person of what was not read.

    Args:
        kind: the class that loads it, such as AutoModelForCausalLM.
        weights: of the folder.
        device: cpu, cuda, cuda:0, mps.
        dtype: auto (as the file has it), float32, bfloat16, float16.
        options: more of what `from_pretrained` takes.

    Raises:
        InputError: the weights cannot be read, or are not all and only what config.json asks for.
        WorkFailed: memory ran out.
    """
    import torch

    try:
        with building_a_model(), watching_loaded_keys() as keys:
            model, report = kind.from_pretrained(
                folder,
                config=options.pop("config", None) or read_config(folder),
                dtype=dtype,
                # Straight onto the device: a copy on the CPU first would need its memory twice.
                device_map=options.pop("device_map", None if device == "cpu" else {"": device}),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=weights.files[0].suffix == ".safetensors",
                weights_only=True,
                output_loading_info=True,
                # `check_loaded` names the tensor and its two shapes; transformers alone points at a log.
                ignore_mismatched_sizes=True,
                **options,
            )
            found = keys()
    except WorkbenchError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise WorkFailed(
            f"{device} ran out of memory while {folder} was loaded as {dtype}. Choose dtype bfloat16 or a smaller "
            "model, or close what else is running."
        ) from error
    except Exception as error:  # a damaged pickle or a wrong shape raises whatever the reader raises
        raise InputError(
            f"The weights in {folder} cannot be loaded ({first_line(error)}). "
            "Download or copy the folder again, and keep config.json and weights of the same model together."
        ) from error
    # What reads its output asks for names; files of old versions may say "tuple".
    model.config.return_dict = True
    return model.eval(), check_loaded(str(folder), model, found, report, weights.tensors)
