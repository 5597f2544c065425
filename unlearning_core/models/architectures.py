"""Where each model family keeps its neurons: one row of module names a family, no class, no torch.

A family that is not listed is probed (`unlearning_core.models.probing`); when that fails the error names the row to add
to `TABLE`. Only norms that *read the residual stream* stand in `norms`: gemma's `post_*` norms read what the attention
and the MLP write, bitnet's sub-norms and the query/key norms read inside them, so none of those is listed.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """Module names of one family.

    Attributes:
        model_type: `config.model_type` of the family.
        blocks: dotted path from the causal language model to the list of blocks.
        mlp_out: path in a block to the MLP's down projection.
        attn_out: path in a block to the attention output projection.
        norms: paths in a block to the norms that read the residual stream; a variant of the family may lack some.
        final_norm: dotted path from the causal language model to the norm that the language model head reads.
        gain_offset: a norm multiplies by `gain_offset + weight`, so a dimension is cut at `weight = -gain_offset`.
    """

    model_type: str
    blocks: str
    mlp_out: str
    attn_out: str
    norms: tuple[str, ...]
    final_norm: str
    gain_offset: float = 0.0


def _llama_like(
    model_type: str,
    *,
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm"),
    gain_offset: float = 0.0,
) -> Architecture:
    return Architecture(
        model_type, "model.layers", "mlp.down_proj", "self_attn.o_proj", norms, "model.norm", gain_offset=gain_offset
    )


_GEMMA2_NORMS = ("input_layernorm", "pre_feedforward_layernorm")
_ROWS = (
    Architecture("gpt2", "transformer.h", "mlp.c_proj", "attn.c_proj", ("ln_1", "ln_2"), "transformer.ln_f"),
    Architecture(
        "gpt_neo", "transformer.h", "mlp.c_proj", "attn.attention.out_proj", ("ln_1", "ln_2"), "transformer.ln_f"
    ),
    Architecture("gptj", "transformer.h", "mlp.fc_out", "attn.out_proj", ("ln_1",), "transformer.ln_f"),
    Architecture(
        "gpt_neox",
        "gpt_neox.layers",
        "mlp.dense_4h_to_h",
        "attention.dense",
        ("input_layernorm", "post_attention_layernorm"),
        "gpt_neox.final_layer_norm",
    ),
    Architecture(
        "opt",
        "model.decoder.layers",
        "fc2",
        "self_attn.out_proj",
        ("self_attn_layer_norm", "final_layer_norm"),
        "model.decoder.final_layer_norm",
    ),
    Architecture("phi", "model.layers", "mlp.fc2", "self_attn.dense", ("input_layernorm",), "model.final_layernorm"),
    Architecture(
        "bloom",
        "transformer.h",
        "mlp.dense_4h_to_h",
        "self_attention.dense",
        ("input_layernorm", "post_attention_layernorm"),
        "transformer.ln_f",
    ),
    Architecture(
        "falcon",
        "transformer.h",
        "mlp.dense_4h_to_h",
        "self_attention.dense",
        ("input_layernorm", "post_attention_layernorm", "ln_attn", "ln_mlp"),
        "transformer.ln_f",
    ),
    _llama_like("llama"),
    _llama_like("mistral"),
    _llama_like("qwen2"),
    _llama_like("qwen3"),
    _llama_like("phi3"),
    _llama_like("bitnet"),
    _llama_like("gemma", gain_offset=1.0),
    _llama_like("gemma2", norms=_GEMMA2_NORMS, gain_offset=1.0),
    _llama_like("gemma3_text", norms=_GEMMA2_NORMS, gain_offset=1.0),
)

TABLE: dict[str, Architecture] = {row.model_type: row for row in _ROWS}


def family_table() -> list[dict[str, str]]:
    """A row a family for a table: its `model_type` and where its neurons are."""
    return [
        {"family": row.model_type, "blocks": row.blocks, "mlp": row.mlp_out, "head": row.attn_out}
        for row in TABLE.values()
    ]


def row_to_add(model_type: str) -> str:
    """The line a person fills in and adds to `TABLE` for a family that is neither listed nor recognised."""
    return (
        f'Architecture("{model_type}", blocks="...", mlp_out="...", attn_out="...", norms=("...",), final_norm="...") '
        "in unlearning_core/models/architectures.py"
    )
