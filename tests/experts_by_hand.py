"""What the neurons of a mixture of experts hold and write, token by token from the weights, in numpy."""

from typing import Any

import numpy as np
import torch

MIXTURES = ("mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "phimoe", "gpt_oss", "deepseek_v2", "deepseek_v3", "glm4_moe")


def shared_expert(mlp: Any) -> Any:
    """The expert of `mlp` that every token goes to, or None."""
    return getattr(mlp, "shared_expert", getattr(mlp, "shared_experts", None))


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def neurons_by_hand(model: Any, ids: list[int]) -> np.ndarray:
    """What every neuron of every expert holds in a pass over one text, `[tokens, layers, width]`."""
    layers, read = model.model.layers, {}
    handles = [
        layer.mlp.experts.register_forward_pre_hook(lambda module, args: read.update({module: args}))
        for layer in layers
    ]
    with torch.no_grad():
        model(torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    return np.stack([_layer(layer.mlp, *map(array, read[layer.mlp.experts])) for layer in layers], axis=1)


def _layer(mlp: Any, states: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    gate_up = array(mlp.experts.gate_up_proj)
    oss = hasattr(mlp.experts, "gate_up_proj_bias")
    gate_up = gate_up if oss else gate_up.swapaxes(1, 2)
    experts, width = gate_up.shape[0], gate_up.shape[2] // 2
    found = np.zeros((len(states), experts, width))
    for token, state in enumerate(states):
        for expert in chosen[token].astype(int):
            both = state @ gate_up[expert]
            if oss:
                both = both + array(mlp.experts.gate_up_proj_bias)[expert]
                gate, up = np.minimum(both[::2], 7.0), np.clip(both[1::2], -7.0, 7.0)
                found[token, expert] = (up + 1) * gate / (1 + np.exp(-1.702 * gate))
            else:
                found[token, expert] = _swiglu(both[:width], both[width:])
    found = found.reshape(len(states), -1)
    shared = shared_expert(mlp)
    if shared is None:
        return found
    gate, up = (states @ array(part.weight).T for part in (shared.gate_proj, shared.up_proj))
    return np.concatenate([found, _swiglu(gate, up)], axis=1)


def _swiglu(gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    return gate / (1 + np.exp(-gate)) * up
