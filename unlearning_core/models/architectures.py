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
        mlp_out: path in a block to the MLP's down projection; in a mixture of experts to the module of all experts.
        attn_out: path in a block to the attention output projection.
        norms: paths in a block to the norms that read the residual stream; a variant of the family may lack some.
        final_norm: dotted path from the causal language model to the norm that the language model head reads.
        gain_offset: a norm multiplies by `gain_offset + weight`, so a dimension is cut at `weight = -gain_offset`.
        shared_out: path in a block to the down projection of the expert that every token goes to, if there is one.
    """

    model_type: str
    blocks: str
    mlp_out: str
    attn_out: str
    norms: tuple[str, ...]
    final_norm: str
    gain_offset: float = 0.0
    shared_out: str = ""


_NORMS = ("input_layernorm", "post_attention_layernorm")
_GEMMA2_NORMS = ("input_layernorm", "pre_feedforward_layernorm")
_OPT_NORMS = ("self_attn_layer_norm", "final_layer_norm")
_FALCON_NORMS = (*_NORMS, "ln_attn", "ln_mlp")


def _llama_like(model_type: str, *, norms: tuple[str, ...] = _NORMS, gain_offset: float = 0.0) -> Architecture:
    return Architecture(
        model_type, "model.layers", "mlp.down_proj", "self_attn.o_proj", norms, "model.norm", gain_offset
    )


def _experts(model_type: str, *, shared_out: str = "") -> Architecture:
    """A mixture of experts; see `unlearning_core.models.experts`."""
    return Architecture(
        model_type, "model.layers", "mlp.experts", "self_attn.o_proj", _NORMS, "model.norm", shared_out=shared_out
    )


_ROWS = (
    Architecture("gpt2", "transformer.h", "mlp.c_proj", "attn.c_proj", ("ln_1", "ln_2"), "transformer.ln_f"),
    Architecture(
        "gpt_neo", "transformer.h", "mlp.c_proj", "attn.attention.out_proj", ("ln_1", "ln_2"), "transformer.ln_f"
    ),
    Architecture("gptj", "transformer.h", "mlp.fc_out", "attn.out_proj", ("ln_1",), "transformer.ln_f"),
    Architecture(
        "gpt_neox", "gpt_neox.layers", "mlp.dense_4h_to_h", "attention.dense", _NORMS, "gpt_neox.final_layer_norm"
    ),
    Architecture(
        "opt", "model.decoder.layers", "fc2", "self_attn.out_proj", _OPT_NORMS, "model.decoder.final_layer_norm"
    ),
    Architecture("phi", "model.layers", "mlp.fc2", "self_attn.dense", ("input_layernorm",), "model.final_layernorm"),
    Architecture("bloom", "transformer.h", "mlp.dense_4h_to_h", "self_attention.dense", _NORMS, "transformer.ln_f"),
    Architecture(
        "falcon", "transformer.h", "mlp.dense_4h_to_h", "self_attention.dense", _FALCON_NORMS, "transformer.ln_f"
    ),
    *map(_llama_like, ("llama", "mistral", "qwen2", "qwen3", "phi3", "bitnet")),
    _llama_like("gemma", gain_offset=1.0),
    _llama_like("gemma2", norms=_GEMMA2_NORMS, gain_offset=1.0),
    _llama_like("gemma3_text", norms=_GEMMA2_NORMS, gain_offset=1.0),
    *map(_experts, ("mixtral", "qwen3_moe", "olmoe", "phimoe", "gpt_oss")),
    _experts("qwen2_moe", shared_out="mlp.shared_expert.down_proj"),
    *(_experts(name, shared_out="mlp.shared_experts.down_proj") for name in ("deepseek_v2", "deepseek_v3", "glm4_moe")),
)

TABLE: dict[str, Architecture] = {row.model_type: row for row in _ROWS}


def row_to_add(model_type: str) -> str:
    """The line a person fills in and adds to `TABLE` for a family that is neither listed nor recognised."""
    return (
        f'Architecture("{model_type}", blocks="...", mlp_out="...", attn_out="...", norms=("...",), final_norm="...") '
        "in unlearning_core/models/architectures.py"
    )


def family_table() -> list[dict[str, str]]:
    """A row of text for each listed family: its modules and the sites whose neurons can be cut.

    A single model may offer fewer sites than its family; `ModelMap.missing` says why.
    """
    return [
        {
            "family": row.model_type,
            "MLP": ", ".join(filter(None, (row.mlp_out, row.shared_out))),
            "attention": row.attn_out,
            "norms": ", ".join((*row.norms, row.final_norm)),
            "sites": "mlp, head, residual" if row.norms and row.final_norm else "mlp, head",
        }
        for row in _ROWS
    ]
