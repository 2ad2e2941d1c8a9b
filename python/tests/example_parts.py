# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Parts in Python that do what parts of the program do."""

from typing import Any

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


@pg.miss_service("own-upload-cap", services=["fetch", "cpu", "cpu+copy"])
class UploadCap:
    """The CPU computes those of a pass of few tokens; the first two are copied into the cache meanwhile."""

    def decide(self, moment: Moment, misses: Misses) -> list[str]:
        if moment.tokens >= 32:
            return ["fetch"] * len(misses)
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
