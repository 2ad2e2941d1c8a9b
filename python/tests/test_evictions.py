# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Evictions of one's own are parts like any other."""

import threading
from collections import Counter
from typing import Any

import pytest

import pregate as pg


class Lru:
    """Oldest activation leaves; a batch is one event."""

    def __init__(self) -> None:
        self.last: dict[tuple[int, int], int] = {}
        self.clock = 0

    def end_batch(self, layer: int, experts: list[int]) -> None:
        for expert in experts:
            self.clock += 1
            self.last[layer, expert] = self.clock

    def victim(self, layer: int, candidates: list[Any]) -> Any:
        return min(candidates, key=lambda expert: self.last.get((layer, expert), 0))


class Fifo:
    """The one that was admitted first leaves."""

    def victim(self, layer: int, candidates: list[Any]) -> Any:
        return candidates[0]


class Never:
    """A full cache stays as it is."""

    def victim(self, layer: int, candidates: list[Any]) -> Any:
        return None


def both(trace: pg.Trace, own: str, ours: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run with each says."""
    run = dict(machine="rtx3090-pcie4", policy="pre-gated-cache", **options)
    return (
        dict(pg.simulate(trace, eviction=own, **run).metrics),
        dict(pg.simulate(trace, eviction=ours, **run).metrics),
    )


@pytest.mark.parametrize("capacity", ["8 slots", "25%", "40%", "70%"])
def test_own_lru_is_lru(trace: pg.Trace, capacity: str) -> None:
    """To the last digit of every figure, times included."""
    pg.eviction("own-lru")(Lru)
    own, ours = both(trace, "own-lru", "lru", cache=capacity)
    assert own == ours


def test_own_fifo_is_fifo(trace: pg.Trace) -> None:
    """With a policy that only chooses; and in a cache of all layers, where candidates are pairs."""
    pg.eviction("own-fifo")(Fifo)
    for scope in ("layer", "global"):
        own, ours = both(trace, "own-fifo", "fifo", cache="25%", cache_scope=scope)
        assert own == ours
    assert pg.replay(trace, eviction="own-fifo") == pg.replay(trace, eviction="fifo")


def test_newcomers_may_stay_out(trace: pg.Trace) -> None:
    """None keeps the cache as it is: what came first stays."""
    pg.eviction("own-never")(Never)
    assert 0 < pg.replay(trace, eviction="own-never").hits < pg.replay(trace, eviction="belady").hits


def test_hits_and_misses_are_told(trace: pg.Trace) -> None:
    """As often as the result counts them."""
    seen: Counter[str] = Counter()

    @pg.eviction("own-counts")
    class Counts(Fifo):
        def hit(self, layer: int, expert: int) -> None:
            seen["hit"] += 1

        def miss(self, layer: int, expert: int) -> None:
            seen["miss"] += 1

    hits = pg.replay(trace, eviction="own-counts")
    assert seen["hit"] == hits.hits and seen["miss"] == hits.accesses - hits.hits


def test_in_a_comparison(trace: pg.Trace) -> None:
    """Beside the program's own."""
    pg.eviction("own-fifo")(Fifo)
    found = pg.compare(
        trace,
        machine="rtx3090-pcie4",
        policies=["on-demand-cache", pg.policy("on-demand-cache", eviction="own-fifo", label="mine"), "on-demand"],
    )
    assert [result.policy for result in found] == ["on-demand-cache", "mine", "on-demand"]


def test_errors_of_callbacks_arrive(trace: pg.Trace) -> None:
    """As they were raised, from within the simulation; and wrong answers are refused."""

    @pg.eviction("own-broken")
    class Broken(Fifo):
        def victim(self, layer: int, candidates: list[Any]) -> Any:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        pg.simulate(trace, policy="on-demand-cache", cache="25%", eviction="own-broken")

    @pg.eviction("own-wrong")
    class Wrong(Fifo):
        def victim(self, layer: int, candidates: list[Any]) -> Any:
            return 4096

    with pytest.raises(pg.InputError, match="returned 4096, which is no candidate"):
        pg.simulate(trace, policy="on-demand-cache", cache="25%", eviction="own-wrong")
    assert pg.simulate(trace, policy="on-demand-cache", cache="25%").status == "ok"


def test_threads_fail_apart(trace: pg.Trace) -> None:
    """What a callback raises in one thread is raised there, and in no other."""
    pg.eviction("own-fifo")(Fifo)

    @pg.eviction("own-fails")
    class Fails(Fifo):
        def victim(self, layer: int, candidates: list[Any]) -> Any:
            raise LookupError("here")

    seen: dict[int, str] = {}

    def work(number: int) -> None:
        eviction = "own-fails" if number % 2 else "own-fifo"
        try:
            seen[number] = pg.simulate(trace, policy="on-demand-cache", cache="25%", eviction=eviction).status
        except LookupError as error:
            seen[number] = str(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [seen[number] for number in range(8)] == ["ok", "here"] * 4


def test_global_replay_names_layers(trace: pg.Trace) -> None:
    """Where all layers share a cache, an expert is told with its layer, and candidates are pairs."""
    layers: set[int] = set()

    @pg.eviction("own-pairs")
    class Pairs(Fifo):
        def miss(self, layer: int, expert: int) -> None:
            assert expert < 64
            layers.add(layer)

        def victim(self, layer: int, candidates: list[Any]) -> Any:
            assert all(isinstance(each, tuple) for each in candidates)
            return candidates[0]

    ours = pg.replay(trace, eviction="fifo", scope="global")
    assert pg.replay(trace, eviction="own-pairs", scope="global") == ours
    assert layers == set(range(16))


def test_names() -> None:
    """Of the program's own are taken; others must be words."""
    with pytest.raises(pg.InputError, match="there is a policy of that name"):
        pg.eviction("lru")(Lru)
    with pytest.raises(pg.InputError, match="is not a name"):
        pg.eviction("My LRU")(Lru)
    with pytest.raises(ValueError, match="by_counts"):
        pg.eviction("own-x", by_counts=False)
    pg.eviction("own-again")(Lru)
    pg.eviction("own-again")(Fifo)
    assert pg.evictions().count("own-again") == 1


def test_compiled(trace: pg.Trace) -> None:
    """LRU in numba gives what ours gives."""
    numba = pytest.importorskip("numba", reason="SKIPPED: numba absent")
    types = numba.types
    numbers, rows = types.CPointer(types.float64), types.CPointer(types.int64)
    i64 = types.int64

    @numba.cfunc(types.void(numbers, i64, i64, rows, i64))
    def end_batch(state, width, layer, experts, count):  # type: ignore[no-untyped-def]
        clock = layer * width * 2 + 1  # the second number of the layer's first expert
        for i in range(count):
            state[clock] += 1
            state[experts[i] * 2] = state[clock]

    @numba.cfunc(i64(numbers, i64, i64, rows, i64))
    def victim(state, width, layer, candidates, count):  # type: ignore[no-untyped-def]
        oldest = 0
        for i in range(1, count):
            if state[candidates[i] * 2] < state[candidates[oldest] * 2]:
                oldest = i
        return oldest

    pg.compiled_eviction("own-compiled", victim=victim, end_batch=end_batch, state=2)
    own, ours = both(trace, "own-compiled", "lru", cache="25%")
    assert own == ours
    with pytest.raises(pg.InputError, match="victim has address 0"):
        pg.compiled_eviction("own-none", victim=0)
