# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Predictors, prefetchers and miss services of one's own are parts like any other."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pregate as pg
from pregate.own_parts import Ahead, Announced, Misses, Moment, Predictions

RUN: dict[str, Any] = {"machine": "rtx3090-pcie4", "keep_requests": True}


@pg.predictor("own-previous", knows_pass=True)
class Previous:
    """Those that this layer activated in the decode step before."""

    def begin_run(self, experts: list[int], top_k: list[int]) -> None:
        assert len(experts) == len(top_k) == 16 and set(experts) == {64} and set(top_k) == {8}
        self.last: list[list[int]] = [[] for _ in experts]
        self.decodes = False

    def begin_pass(self, phase: str, first_of_request: bool) -> None:
        self.decodes = phase == "decode"
        if first_of_request:
            self.last = [[] for _ in self.last]

    def observe(self, layer: int, experts: list[int], tokens: list[int]) -> None:
        assert len(experts) == len(tokens) and all(count >= 1 for count in tokens)
        if self.decodes:
            self.last[layer] = experts

    def predict(self, layer: int, target: int) -> list[int]:
        assert layer < target
        return self.last[target]


@pg.prefetcher("own-budget")
class Budget:
    """As many copies as the next gate should leave time for; whoever is there is kept."""

    def look_ahead(self, moment: Moment, ahead: Ahead, predictor: Predictions, announced: Announced) -> None:
        for layer in ahead.layers(1):
            left = moment.between_gates_ps() // moment.fetch_ps
            chosen = []
            for expert in predictor.predict(layer):
                if not announced.is_brought(layer, expert):
                    if left == 0:
                        continue
                    left -= 1
                chosen.append(expert)
            announced.want(layer, chosen)


@pg.prefetcher("own-horizons", reach=3)
class Horizons:
    """All that is predicted of the next three layers, nearest first."""

    def look_ahead(self, moment: Moment, ahead: Ahead, predictor: Predictions, announced: Announced) -> None:
        assert ahead.layer == moment.layer < ahead.end
        for layer in ahead.layers(3):
            assert ahead.has(layer)
            announced.want(layer, predictor.predict(layer))


def makespan(moment: Moment, there: int, missing: int) -> int:
    """Of a layer that the CPU, the link and the GPU share: who is free first takes the next expert."""
    tokens = -(-moment.routed // moment.activated) if moment.activated else 1
    each = moment.on_gpu_ps(tokens)
    cpu = link = on_cpu = 0
    gpu = each * there
    for left in range(missing, 0, -1):
        computed = moment.on_cpu_ps(on_cpu + 1, (on_cpu + 1) * tokens)
        copied = link + moment.fetch_ps
        then = max(gpu, copied) + each
        if computed <= then if left == 1 else cpu <= link:
            cpu = computed
            on_cpu += 1
        else:
            link, gpu = copied, then
    return max(cpu, gpu)


@pg.prefetcher("own-gain", reach=3, needs_clock=True)
class Gain:
    """The expert whose copy would shorten its layer most, and so on while the link would be idle."""

    def look_ahead(self, moment: Moment, ahead: Ahead, predictor: Predictions, announced: Announced) -> None:
        layers: list[tuple[int, list[int], list[int]]] = []
        for layer in ahead.layers(3):
            there: list[int] = []
            missing: list[int] = []
            for expert in predictor.predict(layer):
                if announced.is_brought(layer, expert):
                    announced.want(layer, [expert])
                    there.append(expert)
                else:
                    missing.append(expert)
            layers.append((layer, there, missing))
        left = moment.between_gates_ps() - moment.backlog_ps("link")
        while left > 0:
            gains = [
                makespan(moment, len(there), len(missing)) - makespan(moment, len(there) + 1, len(missing) - 1)
                if missing
                else 0
                for _, there, missing in layers
            ]
            if max(gains, default=0) <= 0:
                return
            layer, there, missing = layers[gains.index(max(gains))]
            there.append(missing.pop(0))
            announced.want(layer, there[-1:])
            left -= moment.fetch_ps


@pg.miss_service("own-threshold")
class Threshold:
    """The CPU computes it if that takes no longer than copying it and computing it on the GPU."""

    def decide(self, moment: Moment, misses: Misses) -> list[str]:
        return [
            "cpu" if moment.on_cpu_ps(1, tokens) <= moment.fetch_ps + moment.on_gpu_ps(tokens) else "fetch"
            for tokens in misses.tokens
        ]


@pg.miss_service("own-makespan")
class Makespan:
    """Experts with few tokens go to the CPU, those with many over the link, as each is free first."""

    def decide(self, moment: Moment, misses: Misses) -> list[str]:
        tokens = misses.tokens
        order = sorted(range(len(tokens)), key=lambda i: tokens[i])
        answer = ["fetch"] * len(tokens)
        gpu = sum(moment.on_gpu_ps(each) for each in misses.there_tokens)
        cpu = link = computed_there = routed = 0
        while order:
            few, many = tokens[order[0]], tokens[order[-1]]
            computed = moment.on_cpu_ps(computed_there + 1, routed + few)
            copied = link + moment.fetch_ps
            then = max(gpu, copied) + moment.on_gpu_ps(many)
            if computed <= then if len(order) == 1 else cpu <= link:
                answer[order.pop(0)] = "cpu"
                cpu = computed
                computed_there += 1
                routed += few
            else:
                order.pop()
                link, gpu = copied, then
        return answer


@pg.miss_service("own-upload-cap", services=["cpu", "cpu+copy"])
class UploadCap:
    """The CPU computes all; the first two are copied into the cache meanwhile."""

    def decide(self, moment: Moment, misses: Misses) -> list[str]:
        return ["cpu+copy" if i < 2 else "cpu" for i in range(len(misses))]


@pg.miss_service("own-skip", services=["fetch", "skip"], needs_weights=True)
class Skip:
    """Dropped if better-ranked experts have more than .9 of the weight."""

    def decide(self, moment: Moment, misses: Misses) -> list[str]:
        return ["skip" if better > 0.9 + 1e-6 else "fetch" for better in misses.better]


@pg.miss_service("own-substitute", services=["fetch", "substitute"], needs_weights=True)
class Substitute:
    """One miss of a layer is copied, others are replaced by whoever the layer activated most often so far."""

    def __init__(self) -> None:
        self.used: dict[tuple[int, int], int] = {}

    def decide(self, moment: Moment, misses: Misses) -> list[Any]:
        for experts, tokens in ((misses.experts, misses.tokens), (misses.there, misses.there_tokens)):
            for expert, count in zip(experts, tokens, strict=True):
                self.used[moment.layer, expert] = self.used.get((moment.layer, expert), 0) + count
        idle = sorted(misses.idle, key=lambda expert: -self.used.get((moment.layer, expert), 0))
        better = misses.better
        answer: list[Any] = ["fetch"] * len(misses)
        for rank, i in enumerate(sorted(range(len(better)), key=lambda i: better[i])):
            if moment.decode and rank >= 1 and better[i] > 0 and idle:
                answer[i] = ("substitute", idle.pop(0))
        return answer


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


def test_clock_is_asked_for(trace: pg.Trace) -> None:
    """By those alone that said so."""

    @pg.miss_service("own-silent")
    class Silent:
        def decide(self, moment: Moment, misses: Misses) -> list[str]:
            moment.backlog_ps("link")
            return []

    with pytest.raises(pg.InputError, match="asks the clock") as caught:
        pg.simulate(trace, policy=pg.policy("on-demand", miss_service="own-silent"), **RUN)
    assert "needs_clock" in caught.value.hint


def failing(kind: str, error: BaseException) -> pg.Policy:
    """A policy with a part of that kind that raises."""
    if kind == "predictor":

        @pg.predictor("own-raises")
        class _Predictor:
            def predict(self, layer: int, target: int) -> list[int]:
                raise error

        # The error passes a prefetcher in Python on its way.
        return pg.policy("on-demand-cache", cache="25%", predictor="own-raises", prefetcher="own-horizons")
    if kind == "prefetcher":

        @pg.prefetcher("own-raises")
        class _Prefetcher:
            def look_ahead(self, moment: Any, ahead: Any, predictor: Any, announced: Any) -> None:
                raise error

        return pg.policy("on-demand-cache", cache="25%", predictor="given-recall", prefetcher="own-raises")

    @pg.miss_service("own-raises")
    class _Service:
        def decide(self, moment: Any, misses: Any) -> list[str]:
            raise error

    return pg.policy("on-demand-cache", cache="25%", miss_service="own-raises")


@pytest.mark.parametrize("kind", ["predictor", "prefetcher", "miss service"])
@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), KeyboardInterrupt()], ids=repr)
def test_errors_arrive(trace: pg.Trace, kind: str, error: BaseException) -> None:
    """As they were raised: the very object."""
    with pytest.raises(type(error)) as caught:
        pg.simulate(trace, policy=failing(kind, error), **RUN)
    assert caught.value is error
    assert pg.simulate(trace, policy="on-demand", **RUN).status == "ok"


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: [64], "layer 1 has no expert 64"),
    (lambda: [3, 3], "named expert 3 twice"),
    (lambda: [-1], "has no expert -1"),
]


@pytest.mark.parametrize(("answer", "match"), WRONG)
def test_wrong_predictions(trace: pg.Trace, answer: Callable[[], Any], match: str) -> None:
    """Say what was wrong."""

    @pg.predictor("own-wrong")
    class Wrong:
        def predict(self, layer: int, target: int) -> Any:
            return answer()

    with pytest.raises(pg.InputError, match=match):
        pg.simulate(trace, policy=pg.policy("on-demand", predictor="own-wrong"), **RUN)


def test_wrong_types(trace: pg.Trace) -> None:
    """Are Python's own errors."""

    @pg.predictor("own-wrong")
    class Wrong:
        def predict(self, layer: int, target: int) -> Any:
            return [1.5]

    with pytest.raises(TypeError, match="float"):
        pg.simulate(trace, policy=pg.policy("on-demand", predictor="own-wrong"), **RUN)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (["read"], "did not say it would"),
        ([], "returned 0 of"),
        (["fetch"] * 100, "returned more than"),
        ([("cpu", 3)], "did not say it would"),
    ],
)
def test_wrong_services(trace: pg.Trace, answer: Any, match: str) -> None:
    """Say what was wrong."""

    @pg.miss_service("own-wrong")
    class Wrong:
        def decide(self, moment: Moment, misses: Misses) -> Any:
            return answer * len(misses) if len(answer) == 1 else answer

    with pytest.raises(pg.InputError, match=match):
        pg.simulate(trace, policy=pg.policy("on-demand", miss_service="own-wrong"), **RUN)


def test_out_of_reach(trace: pg.Trace) -> None:
    """Layers for which no buffers are reserved, and calls after the call."""
    kept: list[Any] = []

    @pg.prefetcher("own-far")
    class Far:
        def look_ahead(self, moment: Moment, ahead: Ahead, predictor: Predictions, announced: Announced) -> None:
            kept.extend([moment, ahead, predictor, announced])
            announced.want(moment.layer + 2, [0])

    policy = pg.policy("on-demand", predictor="given-recall", prefetcher="own-far")
    with pytest.raises(pg.InputError, match="wants experts of layer 2, and may of 1 to 1"):
        pg.simulate(trace, policy=policy, **RUN)
    moment, ahead, predictor, announced = kept[:4]
    calls: list[Callable[[], Any]] = [
        lambda: moment.layer,
        lambda: ahead.layers(1),
        lambda: predictor.predict(1),
        lambda: announced.fetched(1),
    ]
    for call in calls:
        with pytest.raises(pg.InputError, match="only during the call"):
            call()


def test_names_and_replacement(trace: pg.Trace) -> None:
    """Names of the program's own are taken; one's own may be given anew, and results keep what they were of."""
    with pytest.raises(pg.InputError, match="there is a part of that name"):
        pg.predictor("previous-token")(Previous)
    with pytest.raises(pg.InputError, match="there is a part of that name"):
        pg.miss_service("fetch")(Threshold)
    with pytest.raises(pg.InputError, match="is not a name"):
        pg.prefetcher("My own")(Budget)
    with pytest.raises(pg.InputError, match="services has 'gpu'"):
        pg.miss_service("own-x", services=["gpu"])(Threshold)
    pg.miss_service("own-again")(Threshold)
    before = pg.simulate(trace, policy=pg.policy("on-demand", miss_service="own-again"), **RUN)
    said = before.json()
    pg.miss_service("own-again", services=["fetch"])(Threshold)
    assert before.json() == said
    assert pg.miss_services().count("own-again") == 1


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
