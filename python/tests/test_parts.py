# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Predictors, prefetchers and miss services of one's own are parts like any other."""

import threading
from pathlib import Path
from typing import Any

import pytest
from example_parts import RUN, Previous

import pregate as pg
from pregate.own_parts import Misses, Moment


def held_against(trace: pg.Trace, own: pg.Policy, ours: pg.Policy, folder: Path, **options: Any) -> None:
    """All figures, the times of each request, and the schedule and timeline of recorded steps, byte for byte."""
    recordings: tuple[dict[str, Any], ...] = ({}, {"record_steps": 12})
    for more in recordings:
        mine, theirs = (pg.simulate(trace, policy=each, **RUN, **options, **more) for each in (own, ours))
        assert dict(mine.metrics) == dict(theirs.metrics)
        assert mine.requests_csv() == theirs.requests_csv()
    for result, name in ((mine, "mine"), (theirs, "theirs")):
        result.schedule(folder / f"{name}.json")
    assert (folder / "mine.json").read_bytes() == (folder / "theirs.json").read_bytes()


@pytest.mark.parametrize("prefetcher", ["at-distance", "horizons", "time-budget", "before-pass", "likeliest"])
@pytest.mark.parametrize("batch", [1, 2])
def test_own_previous_token(trace: pg.Trace, prefetcher: str, batch: int, tmp_path: Path) -> None:
    """The one in Python is the program's, whoever asks it."""

    def policy(predictor: str) -> pg.Policy:
        return pg.policy("on-demand-cache", cache="25%", predictor=predictor, prefetcher=prefetcher)

    held_against(trace, policy("own-previous"), policy("previous-token"), tmp_path, batch=batch)
    assert float(pg.simulate(trace, policy=policy("own-previous"), **RUN)["lookahead.recall"]) > 0


@pytest.mark.parametrize(
    ("own", "ours", "keys"),
    [
        ("own-budget", "time-budget", {}),
        ("own-horizons", "horizons", {"prefetch__horizons": 3}),
        ("own-gain", "gain", {"prefetch__reach": 3}),
    ],
)
@pytest.mark.parametrize("cache", ["0", "25%"])
def test_own_prefetcher(trace: pg.Trace, own: str, ours: str, keys: dict[str, Any], cache: str, tmp_path: Path) -> None:
    """With a budget of time, several layers ahead, by what the link has still to do; predictors of both kinds."""

    def policy(prefetcher: str, predictor: str, **more: Any) -> pg.Policy:
        return pg.policy("on-demand-cache", cache=cache, predictor=predictor, prefetcher=prefetcher, **more)

    held_against(trace, policy(own, "given-recall"), policy(ours, "given-recall", **keys), tmp_path)
    held_against(trace, policy(own, "own-previous"), policy(ours, "previous-token", **keys), tmp_path)


@pytest.mark.parametrize(
    ("own", "ours"),
    [
        ("own-threshold", "threshold"),
        ("own-makespan", "makespan"),
        ("own-upload-cap", "upload-cap"),
        ("own-skip", "skip"),
        ("own-substitute", "substitute"),
    ],
)
@pytest.mark.parametrize("batch", [1, 2])
def test_own_miss_service(weighted: pg.Trace, own: str, ours: str, batch: int, tmp_path: Path) -> None:
    """Each kind of answer is what the program's own parts make of it."""

    def policy(service: str) -> pg.Policy:
        return pg.policy("on-demand-cache", cache="25%", miss_service=service)

    held_against(weighted, policy(own), policy(ours), tmp_path, batch=batch)


@pytest.fixture(scope="module")
def weighted(trace: pg.Trace, tmp_path_factory: pytest.TempPathFactory) -> pg.Trace:
    """The same trace with gate weights: rank r has 1 / (r + 1) of what is left."""
    import numpy as np

    path = tmp_path_factory.mktemp("weighted") / "w.db"
    layers = [(each["layer"], each["experts"], each["top_k"]) for each in trace.info["layers"]]
    routing = [trace.routing(layer) for layer in range(len(layers))]
    shares = np.array([0.5, 0.25, 0.12, 0.06, 0.04, 0.02, 0.006, 0.004], dtype=np.float32)
    with pg.TraceWriter(path, layers=layers, model="olmoe-1b-7b", has_weights=True) as writer:
        last = None
        for request, step in dict.fromkeys(zip(routing[0].request.tolist(), routing[0].step.tolist(), strict=True)):
            if request != last:
                writer.begin_request(str(request))
                position, last = 0, request
            those = (routing[0].request == request) & (routing[0].step == step)
            ids = [each.ids[those] for each in routing]
            tokens = len(ids[0])
            weights = [np.tile(shares, (tokens, 1)) for _ in ids]
            writer.add("prefill" if step == 0 else "decode", ids, weights=weights, position=position)
            position += tokens
    return pg.load_trace(path)


def test_backlog(trace: pg.Trace) -> None:
    """Time goes on; what a layer's own misses add to the link's queue is there when the next ones are decided."""
    runs: list[list[tuple[int, int, int]]] = []

    @pg.miss_service("own-by-backlog", needs_clock=True)
    class ByBacklog:
        """To the CPU what it has done before the link could bring it."""

        def __init__(self) -> None:
            self.seen: list[tuple[int, int, int]] = []
            runs.append(self.seen)

        def decide(self, moment: Moment, misses: Misses) -> list[str]:
            wait, cpu = moment.backlog_ps("link"), moment.backlog_ps("cpu")
            self.seen.append((moment.now_ps, wait, cpu))
            here = moment.on_cpu_ps(1, 1)
            return ["cpu" if here < wait + (i + 1) * moment.fetch_ps else "fetch" for i in range(len(misses))]

    own = pg.policy(
        "on-demand-cache", cache="25%", predictor="given-recall", miss_service="own-by-backlog", lookahead__recall=0.4
    )
    split = pg.simulate(trace, policy=own, **RUN)
    assert 0 < float(split["cache.computed_on_cpu"])
    seen = runs[-1]
    times = [now for now, _, _ in seen]
    assert times == sorted(times) and len(set(times)) > len(times) // 2
    assert all(wait >= 0 and cpu >= 0 for _, wait, cpu in seen)
    assert any(wait > 0 for _, wait, _ in seen), "what is announced is on its way when the next layer decides"


def test_in_threads(trace: pg.Trace) -> None:
    """Each run has objects of its own, in several threads and in threads of the program."""
    policy = pg.policy("on-demand-cache", cache="25%", predictor="own-previous", miss_service="own-threshold")
    alone = dict(pg.simulate(trace, policy=policy, **RUN).metrics)
    seen: list[dict[str, Any]] = []

    def work() -> None:
        seen.append(dict(pg.simulate(trace, policy=policy, **RUN).metrics))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [alone] * 4
    rows = pg.sweep(
        trace,
        machine="rtx3090-pcie4",
        vary={"machine.link.h2d.bandwidth": ["8GB/s", "16GB/s", "32GB/s"]},
        policies=["on-demand-cache"],
        cache="25%",
        set={"policy.lookahead.kind": "own-previous", "policy.miss.service": "own-threshold"},
        threads=2,
    )
    ours = pg.sweep(
        trace,
        machine="rtx3090-pcie4",
        vary={"machine.link.h2d.bandwidth": ["8GB/s", "16GB/s", "32GB/s"]},
        policies=["on-demand-cache"],
        cache="25%",
        set={"policy.lookahead.kind": "previous-token", "policy.miss.service": "threshold"},
        threads=2,
    )
    assert [row["tokens_per_s"] for row in rows] == [row["tokens_per_s"] for row in ours]
    assert len({row["tokens_per_s"] for row in rows}) == 3


def test_compiled_predictor(trace: pg.Trace, tmp_path: Path) -> None:
    """The previous token's experts in numba are the program's."""
    numba = pytest.importorskip("numba", reason="SKIPPED: numba absent")
    types = numba.types
    numbers, rows, i64 = types.CPointer(types.float64), types.CPointer(types.int64), types.int64

    # Of each expert its rank in the step before, from 1; of the first of a layer besides: how many, and the phase.
    @numba.cfunc(types.void(numbers, i64, i64, i64))
    def begin_pass(state, width, phase, first):  # type: ignore[no-untyped-def]
        state[2] = phase
        if first != 0:
            for layer in range(16):
                state[layer * width * 3 + 1] = 0

    @numba.cfunc(types.void(numbers, i64, i64, rows, rows, i64))
    def observe(state, width, layer, experts, tokens, count):  # type: ignore[no-untyped-def]
        if state[2] != 2:
            return
        state[layer * width * 3 + 1] = count
        for i in range(count):
            state[(layer * width + i) * 3] = experts[i]

    @numba.cfunc(i64(numbers, i64, i64, i64, rows))
    def predict(state, width, layer, target, chosen):  # type: ignore[no-untyped-def]
        count = int(state[target * width * 3 + 1])
        for i in range(count):
            chosen[i] = int(state[(target * width + i) * 3])
        return count

    pg.compiled_predictor("own-compiled", predict=predict, observe=observe, begin_pass=begin_pass, state=3)

    def policy(predictor: str) -> pg.Policy:
        return pg.policy("on-demand-cache", cache="25%", predictor=predictor)

    held_against(trace, policy("own-compiled"), policy("previous-token"), tmp_path)
    with pytest.raises(pg.InputError, match="predict has address 0"):
        pg.compiled_predictor("own-none", predict=0)


@pytest.mark.parametrize("mode", [{"ep": 2}, {"pp": 2}, {"tp": 2}], ids=str)
def test_on_several_gpus(trace: pg.Trace, mode: dict[str, Any]) -> None:
    """Each GPU has parts of its own, and experts are those that it has."""

    @pg.predictor("own-on-each")
    class OnEach(Previous):
        def begin_run(self, experts: list[int], top_k: list[int]) -> None:
            self.last = [[] for _ in experts]
            self.decodes = False

    def run(predictor: str, service: str) -> dict[str, Any]:
        policy = pg.policy("on-demand-cache", cache="25%", predictor=predictor, miss_service=service)
        return dict(pg.simulate(trace, policy=policy, gpus=2, **mode, **RUN).metrics)

    assert run("own-on-each", "own-threshold") == run("previous-token", "threshold")
