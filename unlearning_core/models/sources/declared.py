"""What a model says of itself in its configuration, told without fetching, unpacking or loading anything."""

from pathlib import Path
from typing import Any

from unlearning_core.files import read_object
from unlearning_core.models.sources.gguf_parts import whole_gguf
from unlearning_core.models.sources.resolve import resolve
from unlearning_core.models.sources.starters import STARTERS

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts")


def has_experts(source: str, revision: str | None = None) -> bool:
    """Whether `source` is a mixture of experts; False where its configuration is not on this machine.

    Raises:
        InputError: the source cannot be had.
    """
    found = resolve(source)
    path = STARTERS[found.name].unprepared() if found.kind == "starter" else found.path
    if path is not None and path.is_file():
        count = whole_gguf(path).header.of_family("expert_count")
        return isinstance(count, int) and count > 0
    if found.kind == "hub":
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(found.name, "config.json", revision=revision)
        config = Path(cached) if isinstance(cached, str) else None
    else:
        config = found.path / "config.json"
    return config is not None and _counts_experts(read_object(config))


def _counts_experts(values: dict[str, Any]) -> bool:
    parts = [values, *(value for value in values.values() if isinstance(value, dict))]
    return any(isinstance(part.get(name), int) and part[name] > 1 for part in parts for name in _EXPERTS)
