"""Models that read pictures or sound beside text: which language model is inside, by their configuration alone."""

from typing import TYPE_CHECKING

from unlearning_core.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_SAME_FOR_TEXT = {
    "qwen2_vl_text": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen3_vl_text": "qwen3",
}
"""Language models that have no class of their own -> the family that computes the same on text alone.

They turn queries and keys by three positions (time, height, width); for text the three are equal, which is the usual
rotary position (Qwen2-VL, arXiv 2409.12191, section 2.1). Measured on each model when its language model is taken out.
"""

_OF_POSITIONS = ("mrope_section", "mrope_interleaved")
_OTHER_SENSES = ("vision_config", "audio_config", "speech_config")


def is_multimodal(config: "PreTrainedConfig") -> bool:
    """Whether the model reads something else beside text."""
    wraps = not getattr(config, "is_encoder_decoder", False) and config.get_text_config() is not config
    return wraps or any(getattr(config, name, None) not in (None, {}) for name in _OTHER_SENSES)


def language_config(source: str, config: "PreTrainedConfig") -> "PreTrainedConfig":
    """The configuration of the causal language model in `config`: that itself, or of the one inside a multimodal one.

    Raises:
        InputError: the model is multimodal and its language model is no causal one that transformers can run alone.
    """
    if not is_multimodal(config):
        return config
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    text = config.get_text_config()
    family = _SAME_FOR_TEXT.get(text.model_type, text.model_type)
    if text is config or family not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise not_alone(source, config, "transformers has no class for its language model alone")
    kind = CONFIG_MAPPING[family]
    known = kind().to_dict()
    values = {name: value for name, value in text.to_dict().items() if name in known and name != "model_type"}
    if isinstance(rope := values.get("rope_parameters"), dict):
        values["rope_parameters"] = {name: value for name, value in rope.items() if name not in _OF_POSITIONS}
    values["architectures"] = [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[family]]
    return kind(**values)


def not_alone(source: str, config: "PreTrainedConfig", why: str) -> InputError:
    """The sentence for a multimodal model whose language model cannot be used."""
    return InputError(
        f"{source} is a multimodal model (model_type {config.model_type!r}): it reads text and pictures or sound, and "
        f"its language model cannot be taken out of it here: {why}. Choose a text-only model, such as llama or qwen3."
    )
