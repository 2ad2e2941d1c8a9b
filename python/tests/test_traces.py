# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Traces: read, written, generated, replayed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run

import pregate as pg
from pregate.traces import NO_EXPERT


def test_generated_for_what_is_run() -> None:
    """A call may say again what the routing is generated for, but nothing else."""
    generated = pg.generate(model="olmoe-1b-7b", prompt=8, output=4)
    alone = pg.simulate(generated, policy="on-demand").json()
    assert pg.simulate(generated, model="olmoe-1b-7b", prompt=8, policy="on-demand").json() == alone
    with pytest.raises(pg.InputError, match="model: is qwen3-30b-a3b, and the routing is generated for olmoe-1b-7b"):
        pg.simulate(generated, model="qwen3-30b-a3b", policy="on-demand")
    with pytest.raises(pg.InputError, match="prompt: is 9, .* for 8"):
        pg.compare(generated, prompt=9)


def test_routing(trace: pg.Trace) -> None:
    """Of one layer as arrays."""
    assert trace.layers == 16 and trace.info["requests"] == 2
    decode = trace.routing(3, "decode")
    assert decode.ids.shape == (2 * 40, 8) and decode.ids.dtype == np.uint16
    assert decode.ids.max() < 64 and decode.weights is None
    assert set(decode.request) == {0, 1}
    everything = trace.routing(3)
    assert len(everything.ids) == trace.info["tokens"]
    assert len(np.unique(decode.ids[0])) == 8
    with pytest.raises(pg.InputError, match="none of the trace's MoE layers"):
        trace.routing(16)
    with pytest.raises(pg.InputError, match="is no phase"):
        trace.routing(0, "decoding")


def test_written_is_read(tmp_path: Path) -> None:
    """Ids, weights and phases come back as they were given."""
    generator = np.random.default_rng(1)

    def ids(tokens: int) -> list[np.ndarray]:
        return [np.stack([generator.permutation(8)[:2] for _ in range(tokens)]) for _ in range(3)]

    prompt, first, second = ids(5), ids(1), ids(1)
    weights = [np.full((1, 2), 0.5) for _ in range(3)]
    path = tmp_path / "w.db"
    with pg.TraceWriter(path, layers=[(1, 8, 2), (2, 8, 2), (4, 8, 2)], model="mine", has_weights=True) as writer:
        writer.begin_request("a")
        writer.add("prefill", prompt, weights=[np.full((5, 2), 0.25)] * 3)
        writer.add("decode", first, weights=weights, position=5)
        writer.add("decode", second, weights=weights, position=6)
    trace = pg.load_trace(path)
    assert trace.check() == []
    assert [layer["layer"] for layer in trace.info["layers"]] == [1, 2, 4]
    for layer in range(3):
        read = trace.routing(layer)
        np.testing.assert_array_equal(read.ids, np.concatenate([prompt[layer], first[layer], second[layer]]))
        assert read.weights is not None
        np.testing.assert_array_equal(read.weights[:, 0], [0.25] * 5 + [0.5] * 2)
        np.testing.assert_array_equal(read.step, [0] * 5 + [1, 2])


def test_nothing_half_written(tmp_path: Path) -> None:
    """An error within the context, or ids out of range, leave no file."""
    path = tmp_path / "w.db"
    with pytest.raises(ZeroDivisionError), pg.TraceWriter(path, layers=[(0, 4, 1)]) as writer:
        writer.begin_request()
        writer.add("decode", [np.array([[1]])])
        raise ZeroDivisionError
    with pytest.raises(pg.InputError), pg.TraceWriter(path, layers=[(0, 4, 1)]) as writer:
        writer.begin_request()
        writer.add("decode", [np.array([[4]])])
    assert list(tmp_path.iterdir()) == []


def test_statistics_and_replay_are_the_programs(trace: pg.Trace, program: Run) -> None:
    """Rates of hits as the command prints them."""
    hits = pg.replay(trace, cache="25%", eviction="lfu")
    table = program("trace", "replay", str(trace.path), "--cache", "25%", "--eviction", "lfu")
    assert f"{100 * hits.hit_rate:.3f}" in table and f"{100 * hits.decode_hit_rate:.3f}" in table
    statistics = trace.statistics()
    assert 0 < statistics["lag1_overlap"] < 1 and statistics["decode_tokens"] == 80


def test_what_is_no_trace(tmp_path: Path) -> None:
    """Is refused with the reason."""
    with pytest.raises(pg.InputError):
        pg.load_trace(tmp_path / "absent.db")
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(pg.InputError):
        pg.load_trace(tmp_path / "text.db")


def test_recorded(recorded: Path, tmp_path: Path) -> None:
    """A recording of another program is imported and replayed."""
    found = sorted(recorded.rglob("qwen.route.csv"))
    assert found, "the folder of recorded data has no qwen.route.csv"
    trace = pg.import_trace(found[0], output=tmp_path / "q.db")
    assert trace.layers == 48 and trace.info["routed_entries"] == 44766
    assert pg.replay(trace, cache="25%", eviction="belady").hits > pg.replay(trace, cache="25%").hits


def with_predictions(trace: pg.Trace, path: Path, distances: list[int]) -> pg.Trace:
    """The same routing; of each distance what is activated, one expert of each token replaced by the next one."""
    layers = [(each["layer"], each["experts"], each["top_k"]) for each in trace.info["layers"]]
    routing = [trace.routing(layer) for layer in range(len(layers))]
    with pg.TraceWriter(
        path, layers=layers, model="olmoe-1b-7b", prediction_distances=distances, predicted_by="gate-reuse"
    ) as writer:
        last, position = -1, 0
        for request, step in dict.fromkeys(zip(routing[0].request.tolist(), routing[0].step.tolist(), strict=True)):
            if request != last:
                writer.begin_request(str(request))
                last, position = request, 0
            those = (routing[0].request == request) & (routing[0].step == step)
            ids = [each.ids[those] for each in routing]
            predicted = []
            for distance in distances:
                shifted = [each.copy() for each in ids]
                for layer, each in enumerate(shifted):
                    each[:, 0] = NO_EXPERT if layer < distance else (each[:, 0] + distance) % 64
                    if layer < distance:
                        each[:] = NO_EXPERT
                predicted.append(shifted)
            writer.add("prefill" if step == 0 else "decode", ids, predicted=predicted, position=position)
            position += len(ids[0])
    return pg.load_trace(path)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"batch": 2},
        {"prompt_chunk": 8},
        {"batcher": "continuous", "batch": 2, "arrival_rate": 5},
        {"set": {"serve.draft.tokens": 2, "serve.draft.acceptance": 0.6}},
        {"gpus": 2, "ep": 2},
        {"gpus": 2, "pp": 2},
    ],
    ids=str,
)
def test_predictions_of_several_distances(trace: pg.Trace, how: dict[str, Any], tmp_path: Path) -> None:
    """However passes are made of steps, those of a distance are what a trace of that distance alone has."""
    alone = {d: with_predictions(trace, tmp_path / f"{d}.db", [d]) for d in (1, 3)}
    several = with_predictions(trace, tmp_path / "all.db", [1, 3])
    assert several.check() == []
    np.testing.assert_array_equal(several.predictions(5, 3).ids, alone[3].predictions(5, 3).ids)

    def run(of: pg.Trace, distance: int, predictor: str) -> dict[str, Any]:
        policy = pg.policy("on-demand-cache", cache="25%", predictor=predictor, lookahead__distance=distance)
        return dict(pg.simulate(of, machine="rtx3090-pcie4", policy=policy, **how).metrics)

    seen = []
    for distance in (1, 3):
        ours = run(several, distance, "gate-reuse")
        assert ours == run(alone[distance], distance, "gate-reuse") == run(several, distance, "recorded")
        assert 0.5 < float(ours["lookahead.recall"]) < 1
        seen.append(ours)
    assert seen[0] != seen[1]
