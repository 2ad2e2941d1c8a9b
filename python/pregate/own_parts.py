# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Predictors, prefetchers and miss services of one's own, which are parts like any other.

Layers are MoE layers counted from 0 over all stacks, experts those of the layer; on several GPUs those that the GPU
has. Every run makes an object of its own, with the arguments of its constructor as the run sets them
(`pregate.Parameter`). Calls are one a layer or pass, in their place in time. What a method is handed may be asked
during that call alone. Times are whole picoseconds, so that sums are exact.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from pregate import _core
from pregate._core import Ahead, Announced, Misses, Moment, Predictions
from pregate.parameters import described

__all__ = [
    "Ahead",
    "Announced",
    "MissService",
    "Misses",
    "Moment",
    "Predictions",
    "Predictor",
    "Prefetcher",
    "compiled_predictor",
    "miss_service",
    "predictor",
    "prefetcher",
]

atexit.register(_core.forget_parts)

_compiled: dict[str, tuple[Any, ...]] = {}
"""By name the functions of compiled predictors, which must live as long as their addresses are called."""


class Predictor(Protocol):
    """Who is thought to be activated in a MoE layer to come: ``lookahead.kind``.

    Beside `predict` are called, where it has them:

    - ``begin_run(experts, top_k)`` once: of each layer its experts, and how many a token activates;
    - ``begin_pass(phase, first_of_request)``: phase is encoder, prefill or decode;
    - ``observe(layer, experts, tokens)`` when the ids of a layer are known: its activated experts in router order, and
      the tokens of each;
    - ``probabilities()`` after `predict`: of those that it named, how likely each is; an empty list: it does not say.
    """

    def predict(self, layer: int, target: int) -> Iterable[int]:
        """Experts of layer `target`, the likeliest first, each once, when the ids of `layer` before it are known.

        Only decode passes are looked ahead in. Before a pass, for prefetchers that ask then, `layer` is the one before
        the pass's first.
        """


class Prefetcher(Protocol):
    """Which of what is predicted is fetched early, and when: ``prefetch.kind``.

    Beside `look_ahead` are called, where it has them:

    - ``begin_pass()``;
    - ``reaches(ahead)``: whether something may be announced now, which costs ``lookahead.cost``; without it: where one
      of the next `reach` layers has experts to be fetched;
    - ``gate_known(moment, experts, announced)`` before the misses of a layer are issued: what was announced for it may
      be dropped;
    - ``pass_begins(ahead, predictor, announced)``, where it was registered with before_passes.
    """

    def look_ahead(self, moment: Moment, ahead: Ahead, predictor: Predictions, announced: Announced) -> None:
        """The misses of moment.layer are issued: ``announced.want(layer, experts)`` brings others in."""


class MissService(Protocol):
    """What is done about activated experts that are not on the GPU: ``miss.service``."""

    def decide(self, moment: Moment, misses: Misses) -> Sequence[Any]:
        """One for each of misses.experts, of the services that it was registered with.

        'fetch' (copied to the GPU and computed there), 'cpu' (the CPU computes it), 'cpu+copy' (and it is copied into
        the cache meanwhile), 'read' (the GPU's kernel reads it over the link), 'near-data', 'fetch-low' (copied in
        formats.low), 'skip' (nobody computes it), ('substitute', expert): one of misses.idle in its place. There may
        be no misses.
        """


MadePredictor = TypeVar("MadePredictor", bound=Callable[[], Predictor])
MadePrefetcher = TypeVar("MadePrefetcher", bound=Callable[[], Prefetcher])
MadeMissService = TypeVar("MadeMissService", bound=Callable[[], MissService])


def _line(description: str, made: Any) -> str:
    return str(description or (made.__doc__ or "of this process").strip().splitlines()[0])


def predictor(
    name: str, *, guesses: int = 0, knows_pass: bool = False, description: str = ""
) -> Callable[[MadePredictor], MadePredictor]:
    """Registers a class as the predictor `name`, for as long as the process lives; the same name again replaces it.

    >>> @pg.predictor("before")
    ... class Before:
    ...     def __init__(self): self.last = {}
    ...     def observe(self, layer, experts, tokens): self.last[layer] = experts
    ...     def predict(self, layer, target): return self.last.get(target, [])

    Args:
        name: as ``lookahead.kind`` names it.
        guesses: the most experts that it names for a layer, for which buffers are reserved; 0: as many as a layer of
            the trace activates at most. Those for which there is no room are left to their layer's gate.
        knows_pass: it can be asked of all layers before the first one has run.
        description: a line; else the first one of the class's docstring.

    """

    def register(made: MadePredictor) -> MadePredictor:
        parameters = described(made, f"predictor '{name}'")
        _core.add_predictor(name, _line(description, made), made, parameters, guesses, knows_pass)
        return made

    return register


def prefetcher(
    name: str, *, reach: int = 0, needs_clock: bool = False, before_passes: bool = False, description: str = ""
) -> Callable[[MadePrefetcher], MadePrefetcher]:
    """Registers a class as the prefetcher `name`, for as long as the process lives; the same name again replaces it.

    >>> @pg.prefetcher("two-at-most")
    ... class TwoAtMost:
    ...     def look_ahead(self, moment, ahead, predictor, announced):
    ...         for layer in ahead.layers(1):
    ...             named = predictor.predict(layer)
    ...             absent = [e for e in named if not announced.is_brought(layer, e)]
    ...             announced.want(layer, [e for e in named if e not in absent[2:]])

    Args:
        name: as ``prefetch.kind`` names it.
        reach: how many layers ahead it may announce, for which buffers are reserved; 0: ``lookahead.distance``.
        needs_clock: it asks what the time is, what is left to do, whether copies have arrived, or drops them. Every
            decision is then made at its time.
        before_passes: it announces before a pass; the predictor must know passes.
        description: a line; else the first one of the class's docstring.

    """

    def register(made: MadePrefetcher) -> MadePrefetcher:
        parameters = described(made, f"prefetcher '{name}'")
        _core.add_prefetcher(name, _line(description, made), made, parameters, reach, needs_clock, before_passes)
        return made

    return register


def miss_service(
    name: str,
    *,
    services: Sequence[str] = ("fetch", "cpu"),
    needs_clock: bool = False,
    needs_weights: bool = False,
    description: str = "",
) -> Callable[[MadeMissService], MadeMissService]:
    """Registers a class as the miss service `name`, for as long as the process lives; the same name again replaces it.

    >>> @pg.miss_service("by-backlog", needs_clock=True)
    ... class ByBacklog:
    ...     def decide(self, moment, misses):
    ...         wait = moment.backlog_ps("link")
    ...         here = moment.on_cpu_ps(1, 1)
    ...         return ["cpu" if here < wait + (i + 1) * moment.fetch_ps else "fetch" for i in range(len(misses))]

    Args:
        name: as ``miss.service`` names it.
        services: what it may answer: of fetch, fetch-low, cpu, cpu+copy, near-data, read, skip, substitute.
        needs_clock: it asks what the time is, or what is left to do. Every decision is then made at its time.
        needs_weights: it asks misses.better: the trace must have gate weights.
        description: a line; else the first one of the class's docstring.

    """

    def register(made: MadeMissService) -> MadeMissService:
        parameters = described(made, f"miss service '{name}'")
        _core.add_miss_service(
            name, _line(description, made), made, parameters, list(services), needs_clock, needs_weights
        )
        return made

    return register


def compiled_predictor(
    name: str,
    *,
    predict: Any,
    begin_pass: Any = 0,
    observe: Any = 0,
    state: int = 1,
    guesses: int = 0,
    knows_pass: bool = False,
    description: str = "",
) -> None:
    """Registers compiled functions as the predictor `name`: numba's ``@cfunc``, or addresses.

    ``predict(state, width, layer, target, chosen)`` is ``int64(CPointer(float64), int64, int64, int64,
    CPointer(int64))``: it writes experts of layer `target` to `chosen` and returns how many.
    ``observe(state, width, layer, experts, tokens, count)`` is ``void(CPointer(float64), int64, int64, CPointer(int64),
    CPointer(int64), int64)``; ``begin_pass(state, width, phase, first_of_request)`` is ``void(CPointer(float64), int64,
    int64, int64)``, with phase 0 of an encoder, 1 prefill, 2 decode. The numbers of expert e of layer l begin at
    ``state[(l * width + e) * k]``, k of them (the argument `state`), zero at first and of each run its own.
    `guesses` and `knows_pass` as of `predictor`.
    """

    def address(function: Any) -> int:
        return int(getattr(function, "address", function))

    _core.add_compiled_predictor(
        name,
        description or "compiled, of this process",
        address(begin_pass),
        address(observe),
        address(predict),
        state,
        guesses,
        knows_pass,
    )
    _compiled[name] = (begin_pass, observe, predict)
