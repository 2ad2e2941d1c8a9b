# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Eviction policies of one's own, which are parts like any other."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pregate import _core
from pregate.parameters import described

atexit.register(_core.forget_evictions)

_compiled: dict[str, tuple[Any, ...]] = {}
"""By name the functions of compiled evictions, which must live as long as their addresses are called."""


class Eviction(Protocol):
    """What a policy of one's own has. It decides exactly, in its place in time; a run makes an object of its own.

    Layers are MoE layers counted from 0, experts those of the layer. A layer's activated experts are looked up as one
    batch. Of these methods, of which it has those that it wants, are called:

    - ``hit(layer, expert)`` for each that is there, in router order;
    - then of each that is not ``miss(layer, expert)``, and `victim` as often as room is needed. Experts of the batch
      itself are no candidates;
    - ``end_batch(layer, experts)`` at last, with all of the batch in router order.
    """

    def victim(self, layer: int, candidates: list[Any]) -> Any:
        """Who leaves for an expert of `layer`: one of `candidates`, or None: the new expert stays out.

        They are experts of the layer, the one that was admitted first in front; where all layers share a cache
        (``cache.scope = "global"``) pairs (layer, expert).
        """


Made = TypeVar("Made", bound=Callable[[], Eviction])


def eviction(name: str, *, description: str = "", by_counts: bool = True) -> Callable[[Made], Made]:
    """Registers a class as the eviction `name`, for as long as the process lives; the same name again replaces it.

    >>> @pg.eviction("mine")
    ... class Mine:
    ...     def __init__(self): self.uses = Counter()
    ...     def hit(self, layer, expert): self.uses[layer, expert] += 1
    ...     miss = hit
    ...     def victim(self, layer, candidates): return min(candidates, key=lambda e: self.uses[layer, e])

    Arguments of its constructor with a default are parameters: ``def __init__(self, decay=0.99)`` makes
    ``policy.cache.decay`` a key, which `set` takes, a sweep varies, and a result's configuration shows; `Parameter`
    says what may be given.

    `by_counts` says that it decides by what was activated, not by time: all evictions do, so that False is refused.
    """
    if not by_counts:
        raise ValueError("an eviction decides by what was activated: leave by_counts as it is")

    def register(made: Made) -> Made:
        line = description or (made.__doc__ or "of this process").strip().splitlines()[0]
        _core.add_eviction(name, line, made, described(made, f"eviction '{name}'"))
        return made

    return register


def compiled_eviction(
    name: str,
    *,
    victim: Any,
    hit: Any = 0,
    miss: Any = 0,
    end_batch: Any = 0,
    state: int = 1,
    description: str = "",
) -> None:
    """Registers compiled functions as the eviction `name`: numba's ``@cfunc``, or addresses.

    ``hit(state, width, layer, expert)`` and ``miss`` are ``void(CPointer(float64), int64, int64, int64)``;
    ``victim(state, width, layer, candidates, count)`` is ``int64(CPointer(float64), int64, int64, CPointer(int64),
    int64)`` and returns an index of `candidates`, or a negative number: the new expert stays out;
    ``end_batch(state, width, layer, experts, count)`` is alike and returns nothing. The numbers of expert e of layer l
    begin at ``state[(l * width + e) * k]``, k of them (the argument `state`), zero at first and of each run its own;
    candidates and experts are given as l * width + e.
    """

    def address(function: Any) -> int:
        return int(getattr(function, "address", function))

    _core.add_compiled_eviction(
        name,
        description or "compiled, of this process",
        address(hit),
        address(miss),
        address(end_batch),
        address(victim),
        state,
    )
    _compiled[name] = (hit, miss, end_batch, victim)
