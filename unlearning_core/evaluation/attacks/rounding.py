"""Attack by rounding: the weights in 8 or 4 bits, as people do to save memory.

Zhang et al. 2024 ("Catastrophic Failure of LLM Unlearning via Quantization", arXiv 2410.16454): small changes of the
weights that hide a concept are rounded away, and it is back. Round to nearest, symmetric about 0, computed in float32:
w -> s * clip(round(w / s), -q, q) with s = max |w| / q. int8 (q = 127): one scale an output row, as LLM.int8() has
(Dettmers et al. 2022). int4 (q = 7): one scale for each 128 inputs of a row, the group size that GPTQ and AWQ use.
Embedding, head and norms keep their precision, as in those formats.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from unlearning_core.config.schema import ProofSection
from unlearning_core.evaluation.attacks.losses import loss_row, losses_table
from unlearning_core.evaluation.finetuning import Learner
from unlearning_core.evaluation.recovery import AS_IT_IS
from unlearning_core.evaluation.relearning import make_probe
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.models.mapping import ModelMap
from unlearning_core.progress import Progress, ProgressCallback

GROUP = 128
"""Inputs that share a scale in int4."""


def rounded(weight: Float[Tensor, "... inputs"], bits: int, group: int | None = None) -> Float[Tensor, "... inputs"]:
    """The weight as `bits` can hold it, one scale a row or for each `group` of its inputs (the last may be short)."""
    most = 2 ** (bits - 1) - 1
    parts = [weight] if group is None else weight.split(group, dim=-1)
    found = []
    for part in parts:
        scale = (part.abs().amax(dim=-1, keepdim=True) / most).clamp(min=torch.finfo(part.dtype).tiny)
        found.append((part / scale).round().clamp(-most, most) * scale)
    return torch.cat(found, dim=-1)


def matrices(model_map: ModelMap) -> list[tuple[nn.Parameter, bool]]:
    """The matrices of the blocks, experts' among them, each with whether its inputs run along the last axis but one."""
    found: list[tuple[nn.Parameter, bool]] = []
    for block in model_map.blocks:
        for module in block.modules():
            for parameter in module.parameters(recurse=False):
                if parameter.dim() > 1:
                    across = isinstance(module, Conv1D) or bool(getattr(module, "is_transposed", False))
                    found.append((parameter, across))
    return found


def round_weights(model_map: ModelMap, bits: int, group: int | None) -> None:
    """Round the matrices of a model's blocks in place."""
    with torch.no_grad():
        for parameter, across in matrices(model_map):
            weight = parameter.transpose(-1, -2) if across else parameter
            new = rounded(weight, bits, group)
            parameter.copy_(new.transpose(-1, -2) if across else new)


def attack_int8(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """The concept's loss before and after rounding to int8."""
    return _attack(subject, material, settings, progress, 8, None)


def attack_int4(subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback) -> Frames:
    """The concept's loss before and after rounding to int4."""
    return _attack(subject, material, settings, progress, 4, GROUP)


def _attack(
    subject: Subject,
    material: Material,
    settings: ProofSection,
    progress: ProgressCallback,
    bits: int,
    group: int | None,
) -> Frames:
    """`losses`: a row before and one after; see `losses_table`."""
    probe, copied, task = make_probe(subject, material, settings), Learner(subject.loaded), f"rounding to int{bits}"
    meter = probe.meter(copied.loaded)
    rows = [loss_row(probe, meter, AS_IT_IS)]
    progress(Progress(task, 1, 2, "models"))
    round_weights(copied.loaded.map, bits, group)
    rows.append(loss_row(probe, meter, f"int{bits}"))
    progress(Progress(task, 2, 2, "models"))
    return {"losses": losses_table(rows, probe)}
