"""Whether the model in memory is the whole and right one: every tensor of its files used, and none made up.

The same for every source, as each becomes a folder first. What may be left over is a list with a reason each.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unlearning_core.compat import LoadedKeys
from unlearning_core.errors import InputError
from unlearning_core.models.sources.weight_files import FileTensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Harmless:
    """Tensors that a file may hold and a model may do without.

    Attributes:
        name: what the tensor is called, a regular expression that is searched for.
        reason: why nothing is lost, after the words "is not read: ".
        holds: whether that is true of this tensor of this model.
        told: whether a person is told; of what never was a weight nobody is.
    """

    name: str
    reason: str
    holds: "Callable[[PreTrainedModel, FileTensor], bool]"
    told: bool = False


def _is_square_mask(model: "PreTrainedModel", tensor: FileTensor) -> bool:
    *ones, rows, columns = (0, 1, *tensor.shape)
    return len(tensor.shape) >= 2 and rows == columns and set(ones[2:]) <= {1}


def _is_one_number(model: "PreTrainedModel", tensor: FileTensor) -> bool:
    return tensor.shape in ((), (1,))


def _counts_up(model: "PreTrainedModel", tensor: FileTensor) -> bool:
    import torch

    found = tensor.read().flatten()
    return torch.equal(found.long(), torch.arange(found.numel()))


def _is_its_own(model: "PreTrainedModel", tensor: FileTensor) -> bool:
    """Whether the model computes the same table itself; one that was scaled differs, and config.json lost that."""
    import torch

    found = tensor.read().float()
    own = [value.detach().float().cpu() for name, value in model.named_buffers() if name.endswith("inv_freq")]
    # Files in bfloat16 keep three digits of the table, and float16 has no number below 6e-8.
    return any(one.shape == found.shape and torch.allclose(one, found, rtol=1e-2, atol=1e-7) for one in own)


def _always(model: "PreTrainedModel", tensor: FileTensor) -> bool:
    return True


_MASK = "the causal mask, which follows from the length of a text"
_TABLE = "the rotary table, computed from config.json to the same numbers"
_VALUES = "a value head, from training with rewards, which no text passes through"
_AHEAD = "layers that guess tokens after the next one, which does without"

_WRAPPERS = ("module.", "_orig_mod.", "base_model.model.", "_fsdp_wrapped_module.")
"""What DataParallel, torch.compile, peft and FSDP put before every name."""

HARMLESS = (
    Harmless(r"\.(attn|attention)\.(bias|causal_mask)$", _MASK, _is_square_mask),
    Harmless(r"\.(attn|attention)\.masked_bias$", "the number that fills the mask", _is_one_number),
    Harmless(r"(^|\.)position_ids$", "the numbers 0, 1, 2, ...", _counts_up),
    Harmless(r"(rotary|rope)\w*\.inv_freq$", _TABLE, _is_its_own),
    Harmless(r"(^|\.)v_head\.", _VALUES, _always, told=True),
    Harmless(r"^(model\.)?mtp\.", _AHEAD, _always, told=True),
)
"""What is known to be left over. A tied head is not in it: it has its place in the model, and `_check_ties` sees it."""


def check_loaded(
    source: str, model: "PreTrainedModel", keys: LoadedKeys, report: dict[str, Any], tensors: dict[str, FileTensor]
) -> tuple[str, ...]:
    """Refuse a model that is not what its files hold; returns what to tell a person, a sentence each.

    Args:
        source: what the sentences call it.
        keys: every name, before transformers leaves any out.
        report: transformers' loading info.
        tensors: of the files, by their name there.

    Raises:
        InputError: a tensor is missing, has another shape, is left over, or should be tied to another and differs.
    """
    if wrong := sorted(report.get("mismatched_keys") or ()):
        name, found, expected = wrong[0]
        raise InputError(
            f"The weights in {source} do not fit its config.json: {name} has the shape {list(found)}, and "
            f"{list(expected)} is asked for{f' (and {len(wrong) - 1} more)' if wrong[1:] else ''}. Keep config.json "
            "and weights of the same model together."
        )
    if errors := report.get("error_msgs"):
        raise InputError(
            f"The weights in {source} cannot be loaded ({str(errors[0])[:200]}). Keep config.json and weights of the "
            "same model together."
        )
    _check_prefix(source, tensors)
    _check_missing(source, model, keys, report)
    _check_twice(source, model, tensors)
    unexpected = set(report.get("unexpected_keys") or ()) | {n for n in keys.unexpected if _is_language(model, n)}
    notes = _check_unexpected(source, model, unexpected, tensors)
    _check_ties(source, model)
    return notes


def _is_language(model: "PreTrainedModel", name: str) -> bool:
    """Whether a tensor is of the language model: all of a usual one, of a multimodal one the decoder and the head.

    Outside it transformers' own report counts, as what reads pictures or sound is not used.
    """
    if model.config.get_text_config() is model.config:
        return True
    parts = {model.get_decoder(), model.get_output_embeddings()}
    return any(name.startswith(f"{path}.") for path, module in model.named_modules() if path and module in parts)


def _check_prefix(source: str, tensors: dict[str, FileTensor]) -> None:
    """A name before all others is what a wrapper left in the file; without it every tensor would have its place."""
    wrapper = next((one for one in _WRAPPERS if tensors and all(name.startswith(one) for name in tensors)), None)
    if wrapper is not None:
        raise InputError(
            f"The weights in {source} were saved with a wrapper around the model: every name begins with {wrapper!r}. "
            "Save the model inside (unwrap it, then save_pretrained), or take the prefix off the names."
        )


def _check_missing(source: str, model: "PreTrainedModel", keys: LoadedKeys, report: dict[str, Any]) -> None:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    there = {id(one) for name, one in parameters.items() if name not in keys.missing}
    made_up = {name for name in keys.missing if name in parameters and id(parameters[name]) not in there}
    made_up = {name for name in made_up if _is_language(model, name)}
    if missing := sorted(made_up | set(report.get("missing_keys") or ())):
        raise InputError(
            f"The weights in {source} lack {len(missing)} tensors that config.json asks for ({missing[0]}, ...); they "
            "would be random numbers. Keep config.json and weights of the same model together."
        )


def _check_twice(source: str, model: "PreTrainedModel", tensors: dict[str, FileTensor]) -> None:
    """One weight under two names, with and without the prefix of the model's body: one of the two would be lost."""
    prefix = f"{model.base_model_prefix}."
    if twice := sorted(name for name in tensors if f"{prefix}{name}" in tensors):
        raise InputError(
            f"The weights in {source} hold {len(twice)} tensors twice ({twice[0]} and {prefix}{twice[0]}, ...), and "
            "only one can be meant. Save the model again with save_pretrained."
        )


def _check_unexpected(
    source: str, model: "PreTrainedModel", unexpected: set[str], tensors: dict[str, FileTensor]
) -> tuple[str, ...]:
    left, notes = [], {}
    for name in sorted(unexpected):
        if _is_ahead(name, model, tensors):
            notes[_AHEAD] = f"{name} and its like are not read: {_AHEAD}."
            continue
        tensor = _in_file(name, model, tensors)
        rules = [rule for rule in HARMLESS if re.search(rule.name, name)]
        rule = next((rule for rule in rules if tensor is not None and rule.holds(model, tensor)), None)
        if rule is None:
            left.append(tensor.name if tensor is not None else name)
        elif rule.told:
            notes[rule.reason] = f"{name} and its like are not read: {rule.reason}."
    if left:
        raise InputError(_left_over(source, model, left))
    return tuple(notes.values())


def _is_ahead(name: str, model: "PreTrainedModel", tensors: dict[str, FileTensor]) -> bool:
    """Whether a tensor is of a layer after the last one that only guesses tokens ahead, as DeepSeek-V3 numbers them.

    Such a layer has parts that no other has; without one of them the number of layers in config.json is too small.
    """
    config, found = model.config.get_text_config(), re.search(r"(?:^|\.)layers\.(\d+)\.", name)
    ahead = getattr(config, "num_nextn_predict_layers", None)
    if found is None or not isinstance(ahead, int):
        return False
    of_layer = re.compile(rf"(^|\.)layers\.{found[1]}\.(eh_proj|enorm|hnorm|shared_head)\.")
    within = 0 <= int(found[1]) - int(config.num_hidden_layers) < ahead
    return within and any(of_layer.search(one) for one in tensors)


def _in_file(name: str, model: "PreTrainedModel", tensors: dict[str, FileTensor]) -> FileTensor | None:
    """The tensor that a name in the model comes from; None where transformers gave it a wholly other name."""
    found = tensors.get(name) or tensors.get(name.removeprefix(f"{model.base_model_prefix}."))
    # A multimodal model's parts are moved under other names, which end alike.
    ending = re.search(r"\.(\d+\..+|[^.]+\.[^.]+)$", name)
    if found is None and ending is not None:
        found = next((one for key, one in sorted(tensors.items()) if key.endswith(ending[0])), None)
    return found


def _left_over(source: str, model: "PreTrainedModel", left: list[str]) -> str:
    layers = int(model.config.get_text_config().num_hidden_layers)
    numbers = {name: re.search(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.", name) for name in left}
    beyond = [name for name, found in numbers.items() if found and int(found[1]) >= layers]
    start = f"The weights in {source} hold {len(left)} tensors that config.json does not ask for"
    if beyond:
        return (
            f"{start}: it says num_hidden_layers {layers}, and {beyond[0]} is of a layer after those. Write the true "
            "number into config.json; or, if the layer only guesses tokens ahead (multi-token prediction), remove its "
            "tensors from the file."
        )
    hint = " For biases that is a setting such as attention_bias or mlp_bias." if left[0].endswith("bias") else ""
    return (
        f"{start} ({', '.join(left[:3])}{', ...' if left[3:] else ''}); without them it would be another model. Keep "
        f"config.json and weights of the same model together.{hint}"
    )


def _check_ties(source: str, model: "PreTrainedModel") -> None:
    """Refuse two tensors that config.json ties and that differ in the file: which of them is meant nobody can say."""
    for name, other in model.get_expanded_tied_weights_keys(all_submodels=True).items():
        if model.get_parameter(name) is not model.get_parameter(other):
            raise InputError(
                f"The weights in {source} hold {name} and {other} with different numbers, and config.json ties the two "
                "(tie_word_embeddings). Set tie_word_embeddings to false if the model has a head of its own, or "
                f"remove {name} from the file."
            )
