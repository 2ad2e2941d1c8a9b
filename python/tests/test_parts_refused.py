# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""What parts of one's own may not do is said, and their errors arrive."""

from collections.abc import Callable
from typing import Any

import pytest
from example_parts import RUN, Budget, Previous, Threshold

import pregate as pg
from pregate.own_parts import Ahead, Announced, Misses, Moment, Predictions


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
