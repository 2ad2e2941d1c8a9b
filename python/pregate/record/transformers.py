# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Records what the routers of a Hugging Face MoE model choose while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pregate.errors import InputError
from pregate.traces import NO_EXPERT, Trace, TraceWriter


@dataclass
class _Router:
    """One MoE layer's router, and what it chose in the pass that runs."""

    name: str
    layer: int
    experts: int
    top_k: int
    ids: npt.NDArray[np.uint16] | None = None
    weights: npt.NDArray[np.float32] | None = None


@dataclass
class _Pass:
    sequences: int
    length: int
    """Tokens of each sequence in the pass, padding included."""
    position: int
    keeps: npt.NDArray[np.bool_]
    """[sequences, length]: not padding."""
    choices: list[tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]] = field(default_factory=list)


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


def _cached(kwargs: dict[str, Any]) -> int | None:
    """Tokens that each sequence has in the cache; None where no cache is given (transformers 5 calls it `cache`)."""
    for name in ("past_key_values", "cache"):
        cache = kwargs.get(name)
        if cache is not None and hasattr(cache, "get_seq_length"):
            return int(cache.get_seq_length())
    return None


def _routers(model: Any, config: Any) -> list[tuple[str, Any, int, int]]:
    """Name, module, experts, experts a token of each router: a module that a layer's experts have as neighbour.

    Known by its parts: `gate` or `router` beside `experts`, with a weight of [experts, hidden].
    """
    found = []
    for name, module in model.named_modules():
        if not hasattr(module, "experts"):
            continue
        for child in ("gate", "router"):
            router = getattr(module, child, None)
            weight = getattr(router, "weight", None)
            if weight is None:
                weight = getattr(getattr(router, "classifier", None), "weight", None)
            if router is None or weight is None or weight.ndim != 2:
                continue
            experts = int(weight.shape[0])
            top_k = _first(router, "top_k", "num_experts_per_tok") or _first(module, "top_k", "num_experts_per_tok")
            top_k = top_k or _first(config, "num_experts_per_tok", "num_experts_per_token", "moe_top_k") or 1
            found.append((f"{name}.{child}", router, experts, top_k))
    return found


def _choice(output: Any, router: _Router, tokens: int) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]:
    """Ids and gate weights, [tokens, top_k], of what a router module returned.

    Routers return (logits, weights, ids), (weights, ids), (ids, weights) or logits alone; ids are whole numbers.
    Of logits the highest are chosen and weighed by softmax, as `output_router_logits` would be read.
    """
    import torch

    tensors = [each for each in (output if isinstance(output, tuple | list) else (output,)) if torch.is_tensor(each)]
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
    return (
        ids.detach().to("cpu", torch.int32).numpy().astype(np.uint16),
        weights.detach().to("cpu", torch.float32).numpy(),
    )


class Recorder:
    """Passes of a model, kept until the recording ends."""

    def __init__(self, model: Any) -> None:
        """InputError where the model has no router that is known."""
        config = getattr(model, "config", None)
        text_config = getattr(config, "text_config", None) or config
        routers = _routers(model, text_config)
        if not routers:
            raise InputError(
                "record.transformers",
                f"{type(model).__name__} has no MoE layer whose router is known",
                "a router is a module 'gate' or 'router' beside 'experts'",
            )
        self._modules = [module for _, module, _, _ in routers]
        self.routers = [_Router(name, _number_in(name), experts, top_k) for name, _, experts, top_k in routers]
        self.name = str(getattr(config, "_name_or_path", "") or type(model).__name__)
        self.requests: list[list[_Pass]] = []
        self._running: _Pass | None = None
        self._handles: list[Any] = []
        self._model = model

    def attach(self) -> None:
        """Begins to listen."""
        self._handles.append(self._model.register_forward_pre_hook(self._begin, with_kwargs=True))
        self._handles.append(self._model.register_forward_hook(self._end))
        for router, module in zip(self.routers, self._modules, strict=True):
            self._handles.append(module.register_forward_hook(self._hear(router)))

    def detach(self) -> None:
        """Leaves the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _begin(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del module
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is None:
            ids = kwargs.get("inputs_embeds")
        if ids is None:
            raise InputError("record.transformers", "a pass without input_ids or inputs_embeds")
        sequences, length = int(ids.shape[0]), int(ids.shape[1])
        keeps = np.ones((sequences, length), dtype=bool)
        mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        if mask is not None and getattr(mask, "ndim", 0) == 2:
            keeps = mask[:, -length:].detach().to("cpu").numpy().astype(bool)
        position = _cached(kwargs)
        if position is None:
            position = int(mask.shape[1]) - length if mask is not None and getattr(mask, "ndim", 0) == 2 else 0
        self._running = _Pass(sequences, length, position, keeps)
        for router in self.routers:
            router.ids = router.weights = None

    def _hear(self, router: _Router) -> Callable[..., None]:
        def hook(module: Any, args: Any, output: Any) -> None:
            del module, args
            if self._running is not None:
                router.ids, router.weights = _choice(output, router, self._running.sequences * self._running.length)

        return hook

    def _end(self, module: Any, args: Any, output: Any) -> None:
        del module, args, output
        done, self._running = self._running, None
        if done is None:
            return
        for router in self.routers:
            if router.ids is None or router.weights is None:
                raise InputError("record.transformers", f"the router '{router.name}' was not called in a pass")
            done.choices.append((router.ids, router.weights))
        if done.position == 0 or not self.requests:
            self.requests.append([])
        self.requests[-1].append(done)

    def write(self, path: str | Path, *, overwrite: bool = False) -> Trace:
        """All passes as a trace; a batch of sequences is one request of as many sequences."""
        if not self.requests:
            raise InputError("record.transformers", "no pass was run", "generate within the context")
        layers = [(router.layer, router.experts, router.top_k) for router in self.routers]
        with TraceWriter(
            path,
            layers=layers,
            model=self.name,
            has_weights=True,
            provenance={"format": "transformers", "source": self.name},
            overwrite=overwrite,
        ) as writer:
            for number, passes in enumerate(self.requests):
                writer.begin_request(f"request {number}", passes[0].sequences)
                for one in passes:
                    kept = one.keeps.reshape(-1)
                    ids = [
                        _padded(ids[kept], router.top_k)
                        for (ids, _), router in zip(one.choices, self.routers, strict=True)
                    ]
                    weights = [w[kept] for _, w in one.choices]
                    writer.add(
                        "decode" if one.position > 0 and one.length == 1 else "prefill",
                        ids,
                        weights=weights,
                        position=one.position,
                        tokens_of_sequences=[int(count) for count in one.keeps.sum(axis=1)],
                    )
        return Trace(path)


def _padded(ids: npt.NDArray[np.uint16], top_k: int) -> npt.NDArray[np.uint16]:
    if ids.shape[1] == top_k:
        return ids
    wide = np.full((ids.shape[0], top_k), NO_EXPERT, dtype=np.uint16)
    wide[:, : ids.shape[1]] = ids
    return wide


@contextmanager
def transformers(model: Any, path: str | Path | None = None, *, overwrite: bool = False) -> Iterator[Recorder]:
    """Records the routing of a Hugging Face MoE model while it generates.

    >>> with pg.record.transformers(model, "t.db"):
    ...     model.generate(**tokenizer("Hello", return_tensors="pt"), max_new_tokens=32)
    >>> trace = pg.load_trace("t.db")

    A pass without a cache begins a request; padding is left out. `path` is written at the end, whole or not at all;
    None: `Recorder.write` writes it. Needs torch and transformers.
    """
    recorder = Recorder(model)
    recorder.attach()
    try:
        yield recorder
    finally:
        recorder.detach()
    if path is not None:
        recorder.write(path, overwrite=overwrite)
