# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Which modules of a Hugging Face model are routers, and what they chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pregate.errors import InputError
from pregate.traces import NO_EXPERT


@dataclass
class Choice:
    """What a router chose: [tokens, experts a token]; a place without an expert has NO_EXPERT and weight 0."""

    ids: npt.NDArray[np.uint16]
    weights: npt.NDArray[np.float32]


@dataclass
class Router:
    """One MoE layer's router, and what it chose in the pass that runs."""

    name: str
    module: Any
    layer: int
    experts: int
    top_k: int
    dispatches: bool
    """It returns for each token a mask over all experts, and drops tokens (Switch, NLLB)."""
    chosen: Choice | None = None
    input: tuple[tuple[Any, ...], dict[str, Any]] | None = None


def _number_in(name: str) -> int:
    """The layer's index, by the first number of the module's name."""
    for part in name.split("."):
        if part.isdigit():
            return int(part)
    raise InputError("record.transformers", f"the router '{name}' has no layer in its name")


def _first(config: Any, *names: str) -> int | None:
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None


def routers_of(model: Any, config: Any) -> list[Router]:
    """Each router: a module that a layer's experts have as neighbour.

    Known by its parts: `gate` or `router` beside `experts`, with a weight of [experts, hidden], or a `classifier` with
    one; such routers return masks, of two experts where there is a policy for the second.
    """
    found = []
    for name, module in model.named_modules():
        if not hasattr(module, "experts"):
            continue
        for child in ("gate", "router"):
            router = getattr(module, child, None)
            weight = getattr(router, "weight", None)
            dispatches = weight is None
            if dispatches:
                weight = getattr(getattr(router, "classifier", None), "weight", None)
            if router is None or weight is None or weight.ndim != 2:
                continue
            if dispatches:
                top_k = 2 if hasattr(router, "second_expert_policy") else 1
            else:
                names = ("num_experts_per_tok", "num_experts_per_token", "moe_top_k")
                said = _first(router, "top_k", *names) or _first(module, "top_k", *names)
                top_k = said or _first(config, *names) or 1
            where = f"{name}.{child}"
            found.append(Router(where, router, _number_in(where), int(weight.shape[0]), top_k, dispatches))
    return found


def _numpy(ids: Any, weights: Any) -> Choice:
    import torch

    return Choice(
        ids.detach().to("cpu", torch.int32).numpy().astype(np.uint16),
        weights.detach().to("cpu", torch.float32).numpy(),
    )


def _dispatched(tensors: list[Any], router: Router, tokens: int) -> Choice:
    """Of (mask, weights, logits): weights of the chosen expert, [.., 1], or of all, zero where it is not chosen."""
    import torch

    mask = tensors[0].reshape(tokens, router.experts)
    weights = tensors[1].reshape(tokens, -1).float()
    if weights.shape[1] == 1:
        weights = mask * weights
    chosen, ids = weights.topk(router.top_k, dim=-1)
    ids = torch.where(chosen > 0, ids, torch.full_like(ids, NO_EXPERT))
    return _numpy(ids, chosen)


def choice(output: Any, router: Router, tokens: int) -> Choice:
    """Ids and gate weights of what a router module returned.

    Routers return (logits, weights, ids), (weights, ids), (ids, weights) or logits alone; ids are whole numbers. Of
    logits the highest are chosen and weighed by softmax, as `output_router_logits` would be read.
    """
    import torch

    tensors = [each for each in (output if isinstance(output, tuple | list) else (output,)) if torch.is_tensor(each)]
    if router.dispatches:
        return _dispatched(tensors, router, tokens)
    whole = [each for each in tensors if not each.is_floating_point() and each.dtype != torch.bool]
    real = [each for each in tensors if each.is_floating_point()]
    if whole:
        ids = whole[-1].reshape(tokens, -1)
        weights = None
        for each in reversed(real):
            if each.numel() == ids.numel() and each.shape[-1] == ids.shape[-1]:
                weights = each.reshape(tokens, -1)
                break
            if each.shape[-1] == router.experts:  # scores of all experts, of which those of the chosen are wanted
                weights = each.reshape(tokens, -1).gather(1, ids.long())
                break
        if weights is None:
            weights = torch.ones_like(ids, dtype=torch.float32)
    else:
        logits = real[0].reshape(tokens, router.experts)
        weights, ids = torch.softmax(logits.float(), dim=-1).topk(router.top_k, dim=-1)
    return _numpy(ids, weights)
