# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of a part's constructor are parameters like those of the program's own parts."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from example_parts import RUN, Previous
from test_evictions import Fifo, Lru

import pregate as pg
from pregate.own_parts import Ahead, Announced, Misses, Moment, Predictions


@pg.eviction("own-either")
class Either:
    """LRU or FIFO, by its parameter."""

    def __init__(self, order: Literal["lru", "fifo"] = "lru", *, _private: int = 3, log: list[int] | None = None):
        assert _private == 3 and log is None
        self.of: Lru | Fifo = Lru() if order == "lru" else Fifo()

    def end_batch(self, layer: int, experts: list[int]) -> None:
        if isinstance(self.of, Lru):
            self.of.end_batch(layer, experts)

    def victim(self, layer: int, candidates: list[Any]) -> Any:
        return self.of.victim(layer, candidates)


@pg.predictor("own-first-ones")
class FirstOnes(Previous):
    """So many of what was activated before."""

    def __init__(self, first: Annotated[int, pg.Parameter("experts that are named", least=1, most=8)] = 8):
        self.first = first

    def predict(self, layer: int, target: int) -> list[int]:
        return super().predict(layer, target)[: self.first]


@pg.prefetcher("own-layers", reach=4)
@dataclass
class Layers:
    """As many layers ahead as `horizons` says, a name that a part of the program has."""

    horizons: Annotated[int, pg.Parameter(least=1, most=4)] = 2
    seen: list[int] = field(default_factory=list)

    def look_ahead(self, moment: Moment, ahead: Ahead, predictor: Predictions, announced: Announced) -> None:
        for layer in ahead.layers(self.horizons):
            announced.want(layer, predictor.predict(layer))


@pg.miss_service("own-cap", services=["fetch", "cpu", "cpu+copy"])
class Cap:
    """The CPU computes those of a pass of few tokens; so many are copied meanwhile."""

    def __init__(self, uploads: int = 1, ever: bool = True) -> None:
        self.uploads = uploads if ever else 0

    def decide(self, moment: Moment, misses: Misses) -> list[str]:
        if moment.tokens >= 32:
            return ["fetch"] * len(misses)
        return ["cpu+copy" if i < self.uploads else "cpu" for i in range(len(misses))]


def figures(trace: pg.Trace, policy: pg.Policy, **options: Any) -> dict[str, Any]:
    """All metrics."""
    return dict(pg.simulate(trace, policy=policy, **RUN, **options).metrics)


@pytest.mark.parametrize("order", ["lru", "fifo"])
def test_eviction(trace: pg.Trace, order: str) -> None:
    """Its value decides, given with the policy, as a setting or in a file; in a replay as well."""
    ours = figures(trace, pg.policy("on-demand-cache", cache="25%", eviction=order))
    own = pg.policy("on-demand-cache", cache="25%", eviction="own-either")
    assert figures(trace, own, set={"policy.cache.order": order}) == ours
    assert figures(trace, pg.policy("on-demand-cache", cache="25%", eviction="own-either", cache__order=order)) == ours
    hits = pg.replay(trace, eviction="own-either", set={"policy.cache.order": order})
    assert hits == pg.replay(trace, eviction=order)


def test_default(trace: pg.Trace) -> None:
    """Is what the constructor says."""
    own = pg.policy("on-demand-cache", cache="25%", eviction="own-either")
    assert figures(trace, own) == figures(trace, own, set={"policy.cache.order": "lru"})
    assert figures(trace, own) != figures(trace, own, set={"policy.cache.order": "fifo"})


def test_host_cache(trace: pg.Trace) -> None:
    """The tier in the host's memory takes them under its own table."""
    common: dict[str, Any] = {"host_cache__capacity": "50%", "cache": "25%"}
    seen = [
        figures(trace, pg.policy("on-demand-cache", **common, **keys), set={"machine.ssd.read_bandwidth": "3GB/s"})
        for keys in (
            {"host_cache__eviction": "fifo"},
            {"host_cache__eviction": "own-either", "host_cache__order": "fifo"},
        )
    ]
    assert seen[0] == seen[1]


def test_predictor(trace: pg.Trace) -> None:
    """All of them is the program's own; fewer are fewer."""

    def policy(predictor: str, **keys: Any) -> pg.Policy:
        return pg.policy("on-demand-cache", cache="25%", predictor=predictor, **keys)

    all_of_them = figures(trace, policy("own-first-ones"))
    assert all_of_them == figures(trace, policy("previous-token"))
    few = figures(trace, policy("own-first-ones", lookahead__first=2))
    assert few["lookahead.recall"] < all_of_them["lookahead.recall"]


@pytest.mark.parametrize("horizons", [1, 2, 3])
def test_prefetcher(trace: pg.Trace, horizons: int) -> None:
    """A field of a dataclass."""

    def policy(prefetcher: str) -> pg.Policy:
        return pg.policy(
            "on-demand-cache",
            cache="25%",
            predictor="given-recall",
            prefetcher=prefetcher,
            prefetch__horizons=horizons,
        )

    own, ours = figures(trace, policy("own-layers")), figures(trace, policy("horizons"))
    buffers = {
        "buffer_slots",
        "peak_gpu_bytes_by_purpose.working_buffers",
        "peak_gpu_bytes",
    }  # are reserved for as far as it may reach
    assert {k: v for k, v in own.items() if k not in buffers} == {k: v for k, v in ours.items() if k not in buffers}


@pytest.mark.parametrize("uploads", [1, 3])
def test_miss_service(trace: pg.Trace, uploads: int) -> None:
    """How many the link gets; a flag switches them off."""

    def policy(service: str, **keys: Any) -> pg.Policy:
        return pg.policy("on-demand-cache", cache="25%", miss_service=service, **keys)

    own = figures(trace, policy("own-cap", miss__uploads=uploads))
    assert own == figures(trace, policy("upload-cap", miss__uploads=uploads))
    off = figures(trace, policy("own-cap", miss__uploads=uploads, miss__ever=False))
    assert off["h2d_bytes"] < own["h2d_bytes"]


def test_result_says_what_it_was(trace: pg.Trace) -> None:
    """The resolved configuration has the value, given or not."""

    def shown(**keys: Any) -> Any:
        policy = pg.policy("on-demand-cache", cache="25%", predictor="own-first-ones", **keys)
        return json.loads(pg.simulate(trace, policy=policy, **RUN).json())["results"][0]["policy_config"]["lookahead"][
            "first"
        ]

    assert shown() == 8 and shown(lookahead__first=3) == 3


def test_file(trace: pg.Trace, tmp_path: Path) -> None:
    """A policy file has them as keys."""
    file = tmp_path / "p.toml"
    file.write_text('[cache]\ncapacity = "25%"\neviction = "own-either"\norder = "fifo"\n')
    own = pg.simulate(trace, policy=str(file), **RUN).metrics
    assert own == pg.simulate(trace, policy=pg.policy("on-demand-cache", cache="25%", eviction="fifo"), **RUN).metrics
    file.write_text('[cache]\ncapacity = "25%"\neviction = "own-either"\norder = "newest"\n')
    with pytest.raises(pg.InputError, match="'newest' is not one of its values") as refused:
        pg.simulate(trace, policy=str(file), **RUN)
    assert "p.toml:4" in refused.value.where and "lru, fifo" in refused.value.hint


def test_sweep(trace: pg.Trace) -> None:
    """Varies them; each point is what a simulation of it is."""
    rows = pg.sweep(
        trace,
        machine="rtx3090-pcie4",
        vary={"policy.cache.order": ["lru", "fifo"], "machine.link.h2d.bandwidth": ["8GB/s", "16GB/s"]},
        policies=["on-demand-cache"],
        cache="25%",
        eviction="own-either",
    )
    assert len(rows) == 4
    for row in rows:
        alone = pg.simulate(
            trace,
            machine="rtx3090-pcie4",
            policy=pg.policy("on-demand-cache", cache="25%", eviction=row["policy.cache.order"]),
            set={"machine.link.h2d.bandwidth": row["machine.link.h2d.bandwidth"]},
        )
        assert row["tokens_per_s"] == pytest.approx(alone.tokens_per_s, rel=1e-9)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("lookahead__first", 9, "out of range|at most 8"),
        ("lookahead__first", "many", "first"),
        ("lookahead__first", 1.5, "first"),
        ("lookahead__last", 1, "last"),
        ("miss__ever", "perhaps", "ever"),
        ("cache__order", "fifo", "means nothing with this cache.eviction"),
    ],
)
def test_values_are_checked(trace: pg.Trace, key: str, value: Any, said: str) -> None:
    """What cannot be is refused, with where and what could be."""
    policy = pg.policy(
        "on-demand-cache", cache="25%", predictor="own-first-ones", miss_service="own-cap", **{key: value}
    )
    with pytest.raises(pg.InputError, match=said) as refused:
        pg.simulate(trace, policy=policy, **RUN)
    assert refused.value.where or refused.value.hint


def test_parts_share_a_name(trace: pg.Trace) -> None:
    """Each has a range and a default of its own."""

    @pg.eviction("own-narrow")
    class Narrow(Fifo):
        def __init__(self, decay: Annotated[float, pg.Parameter(least=0, most=1)] = 1):
            assert isinstance(decay, float)

    @pg.eviction("own-wide")
    class Wide(Fifo):
        def __init__(self, decay: float = -7.5):
            self.decay = decay
            values.append(decay)

    values: list[float] = []
    run: dict[str, Any] = {"policy": "on-demand-cache", "cache": "25%", **RUN}
    with pytest.raises(pg.InputError, match="out of range"):
        pg.simulate(trace, eviction="own-narrow", set={"policy.cache.decay": 2}, **run)
    pg.simulate(trace, eviction="own-wide", set={"policy.cache.decay": 2e9}, **run)
    pg.simulate(trace, eviction="own-wide", **run)
    assert set(values) == {2e9, -7.5}
    with pytest.raises(pg.InputError, match="out of range"):
        pg.simulate(trace, eviction="lfu-decay", set={"policy.cache.decay": 2}, **run)

    @pg.eviction("own-narrow")
    class Again(Fifo):
        """Has none: the key goes with the one before."""

    with pytest.raises(pg.InputError, match="means nothing"):
        pg.simulate(trace, eviction="own-narrow", set={"policy.cache.decay": 1}, **run)


def no_default(window: int) -> Fifo:
    """Nobody could make it."""
    return Fifo()


def test_arguments_that_cannot_be_parameters() -> None:
    """Are refused when the part is defined."""

    def refused(made: Any, said: str) -> None:
        with pytest.raises(pg.InputError, match=said):
            pg.eviction("own-refused")(made)
        assert "own-refused" not in pg.evictions()

    refused(no_default, "'window' has no default")
    refused(lambda capacity=3: Fifo(), "'capacity': is a key of cache already")
    refused(lambda preload=3: Fifo(), "'preload': is a key of host_cache already")
    refused(lambda decay="no": Fifo(), "'decay': is a parameter of another kind of lfu-decay")
    refused(lambda Window=3: Fifo(), "is no name for a key")  # noqa: N803
    refused(lambda a__b=3: Fifo(), "is no name for a key")
    refused(lambda x=float("nan"): Fifo(), "not finite")

    def outside(x: Annotated[int, pg.Parameter(least=1)] = 0) -> Fifo:
        return Fifo()

    refused(outside, "default is out of range")

    def other(x: int = 0.5) -> Fifo:  # type: ignore[assignment]
        return Fifo()

    refused(other, "is said to be int")

    def ranged(x: Annotated[str, pg.Parameter(least=1)] = "a") -> Fifo:
        return Fifo()

    refused(ranged, "is no number")

    def not_among(x: Literal["a", "b"] = "c") -> Fifo:  # type: ignore[assignment]
        return Fifo()

    refused(not_among, "'c' is not one of its values")
