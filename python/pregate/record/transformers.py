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
from pregate.record.routers import Choice, Router, choice, routers_of
from pregate.traces import NO_EXPERT, Trace, TraceWriter

WHERE = "record.transformers"


@dataclass
class _Stack:
    """An encoder or a decoder: a module that is called once a pass, and its routers."""

    name: str
    module: Any
    routers: list[Router]
    follows_encoder: bool = False
    """It has read the prompt before its first token."""


@dataclass
class _Pass:
    stack: _Stack
    sequences: int
    length: int
    """Tokens of each sequence in the pass, padding included."""
    position: int
    keeps: npt.NDArray[np.bool_]
    """[sequences, length]: not padding."""
    choices: list[Choice] = field(default_factory=list)
    predicted: list[list[Choice | None]] = field(default_factory=list)
    """By distance, by layer: what its router chose of the input of the router so many layers before."""

    @property
    def phase(self) -> str:
        """As traces name it."""
        if self.stack.name == "encoder":
            return "encoder"
        is_answer = self.position > 0 or self.stack.follows_encoder
        return "decode" if is_answer and self.length == 1 else "prefill"


def _cached(kwargs: dict[str, Any]) -> int | None:
    """Tokens that each sequence has in the cache; None where no cache is given (transformers 5 calls it `cache`)."""
    for name in ("past_key_values", "cache"):
        cache = kwargs.get(name)
        if cache is not None and hasattr(cache, "get_seq_length"):
            return int(cache.get_seq_length())
    return None


def _stacks(model: Any) -> list[_Stack]:
    """The encoder, if there is one, and the decoder, as far as they have MoE layers."""
    config = getattr(model, "config", None)
    routers = routers_of(model, getattr(config, "text_config", None) or config)
    if not getattr(config, "is_encoder_decoder", False):
        return [_Stack("decoder", model, routers)] if routers else []
    stacks = []
    for name in ("encoder", "decoder"):
        module = getattr(model, f"get_{name}")()
        inside = {id(each) for each in module.modules()}
        own = [router for router in routers if id(router.module) in inside]
        if own:
            stacks.append(_Stack(name, module, own, follows_encoder=name == "decoder"))
    return stacks


class Recorder:
    """Passes of a model, kept until the recording ends."""

    def __init__(self, model: Any, gate_reuse: int = 0) -> None:
        """InputError where the model has no router that is known."""
        self._stacks = _stacks(model)
        if not self._stacks:
            raise InputError(
                WHERE,
                f"{type(model).__name__} has no MoE layer whose router is known",
                "a router is a module 'gate' or 'router' beside 'experts'",
            )
        most = max(len(stack.routers) for stack in self._stacks) - 1
        if not 0 <= gate_reuse <= max(most, 0):
            raise InputError(
                WHERE,
                f"gate_reuse is {gate_reuse}, and there are {most + 1} MoE layers",
                f"from 0, none, to {most} layers ahead",
            )
        self._gate_reuse = gate_reuse
        config = getattr(model, "config", None)
        self.name = str(getattr(config, "_name_or_path", "") or type(model).__name__)
        self.requests: list[list[_Pass]] = []
        self._running: _Pass | None = None
        self._handles: list[Any] = []

    @property
    def routers(self) -> list[Router]:
        """Of all MoE layers, an encoder's first."""
        return [router for stack in self._stacks for router in stack.routers]

    def attach(self) -> None:
        """Begins to listen."""
        for stack in self._stacks:
            self._handles.append(stack.module.register_forward_pre_hook(self._begin_of(stack), with_kwargs=True))
            self._handles.append(stack.module.register_forward_hook(self._end))
            for router in stack.routers:
                self._handles.append(router.module.register_forward_hook(self._hear(router), with_kwargs=True))

    def detach(self) -> None:
        """Leaves the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._running = None

    def _begin_of(self, stack: _Stack) -> Callable[..., None]:
        def begin(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            del module
            ids = kwargs.get("input_ids", args[0] if args else None)
            if ids is None:
                ids = kwargs.get("inputs_embeds")
            if ids is None:
                raise InputError(WHERE, "a pass without input_ids or inputs_embeds")
            sequences, length = int(ids.shape[0]), int(ids.shape[1])
            keeps = np.ones((sequences, length), dtype=bool)
            mask: Any = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
            is_plain = mask is not None and getattr(mask, "ndim", 0) == 2
            if is_plain:
                keeps = mask[:, -length:].detach().to("cpu").numpy().astype(bool)
            position = _cached(kwargs)
            if position is None:
                position = int(mask.shape[1]) - length if is_plain else 0
            self._running = _Pass(stack, sequences, length, position, keeps)
            for router in stack.routers:
                router.chosen = router.input = None

        return begin

    def _hear(self, router: Router) -> Callable[..., None]:
        def hook(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            del module
            if self._running is None:
                return
            router.chosen = choice(output, router, self._running.sequences * self._running.length)
            router.input = (args, kwargs) if self._gate_reuse > 0 else None

        return hook

    def _end(self, module: Any, args: Any, output: Any) -> None:
        del module, args, output
        done, self._running = self._running, None
        if done is None:
            return
        for router in done.stack.routers:
            if router.chosen is None:
                raise InputError(WHERE, f"the router '{router.name}' was not called in a pass")
            done.choices.append(router.chosen)
        self._predict(done)
        if self._begins(done):
            self.requests.append([])
        self.requests[-1].append(done)

    def _begins(self, done: _Pass) -> bool:
        """A request: with nothing cached, and not behind the pass of an encoder."""
        if not self.requests or done.phase == "encoder":
            return True
        began = any(one.stack is done.stack for one in self.requests[-1])
        return done.position == 0 and (began or not done.stack.follows_encoder)

    def _predict(self, done: _Pass) -> None:
        """Asks each router of a layer behind what it makes of a router's input; nobody hears it."""
        import torch

        routers = done.stack.routers
        with torch.no_grad():
            for distance in range(1, self._gate_reuse + 1):
                row: list[Choice | None] = [None] * min(distance, len(routers))
                for before, router in zip(routers, routers[distance:], strict=False):
                    assert before.input is not None
                    args, kwargs = before.input
                    row.append(choice(router.module(*args, **kwargs), router, done.sequences * done.length))
                done.predicted.append(row)
        for router in routers:
            router.input = None

    def write(self, path: str | Path, *, overwrite: bool = False) -> Trace:
        """All passes as a trace; a batch of sequences is one request of as many sequences."""
        if not self.requests:
            raise InputError(WHERE, "no pass was run", "generate within the context")
        with TraceWriter(
            path,
            layers=[(stack.name, r.layer, r.experts, r.top_k) for stack in self._stacks for r in stack.routers],
            model=self.name,
            has_weights=True,
            prediction_distances=range(1, self._gate_reuse + 1),
            predicted_by="gate-reuse" if self._gate_reuse > 0 else "",
            provenance={"format": "transformers", "source": self.name},
            overwrite=overwrite,
        ) as writer:
            for number, passes in enumerate(self.requests):
                writer.begin_request(f"request {number}", passes[0].sequences)
                for one in passes:
                    self._write_pass(writer, one)
        return Trace(path)

    def _write_pass(self, writer: TraceWriter, one: _Pass) -> None:
        kept = one.keeps.reshape(-1)
        tokens = int(kept.sum())
        routers = one.stack.routers

        def ids_of(choices: list[Choice | None]) -> list[npt.NDArray[np.uint16]]:
            return [
                np.full((tokens, router.top_k), NO_EXPERT, dtype=np.uint16)
                if chosen is None
                else _wide(chosen.ids[kept], router.top_k, NO_EXPERT)
                for chosen, router in zip(choices, routers, strict=True)
            ]

        writer.add(
            one.phase,
            ids_of(list(one.choices)),
            weights=[_wide(c.weights[kept], r.top_k, 0) for c, r in zip(one.choices, routers, strict=True)],
            predicted=[ids_of(row) for row in one.predicted] if self._gate_reuse > 0 else None,
            stack=one.stack.name,
            position=one.position,
            tokens_of_sequences=[int(count) for count in one.keeps.sum(axis=1)],
        )


def _wide(values: npt.NDArray[Any], top_k: int, fill: int) -> npt.NDArray[Any]:
    if values.shape[1] == top_k:
        return values
    wide = np.full((values.shape[0], top_k), fill, dtype=values.dtype)
    wide[:, : values.shape[1]] = values
    return wide


@contextmanager
def transformers(
    model: Any, path: str | Path | None = None, *, gate_reuse: int = 0, overwrite: bool = False
) -> Iterator[Recorder]:
    """Records the routing of a Hugging Face MoE model while it generates.

    >>> with pg.record.transformers(model, "t.db", gate_reuse=2):
    ...     model.generate(**tokenizer("Hello", return_tensors="pt"), max_new_tokens=32)
    >>> trace = pg.load_trace("t.db")

    A pass without a cache begins a request, of an encoder-decoder each pass of the encoder; padding is left out. A
    token that a router drops for want of capacity has no expert there. `path` is written at the end, whole or not at
    all; None: `Recorder.write` writes it. Needs torch and transformers.

    Args:
        model: any with known routers.
        path: of the trace database.
        gate_reuse: how many MoE layers ahead the routers of later layers are asked what they make of a layer's router
            input, after each pass. Recorded as predicted ids by distance, from 1 to this one, which the lookahead
            `gate-reuse` then reads instead of a given recall.
        overwrite: a file that is there.

    """
    recorder = Recorder(model, gate_reuse)
    recorder.attach()
    try:
        yield recorder
    finally:
        recorder.detach()
    if path is not None:
        recorder.write(path, overwrite=overwrite)
