# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Policies run for real on this computer: what they do is the simulation's and the program's, times are measured."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from test_evictions import Fifo

import pregate as pg

MODEL = str(Path(__file__).with_name("small.toml"))
RUN: dict[str, Any] = {"model": MODEL, "device": "host", "gpu_memory": "1GiB", "compute_threads": 1}
COUNTS = ["cache.hit_rate", "h2d_bytes", "fetches", "steps", "output_tokens"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> pg.Trace:
    """Of a model that runs in a moment."""
    generated = pg.generate(model=MODEL, requests=1, prompt=6, output=4, seed=5)
    return generated.save(tmp_path_factory.mktemp("traces") / "small.db")


def operations(path: Path) -> Any:
    """A schedule without its times."""
    schedule = json.loads(path.read_text())
    for operation in schedule["operations"]:
        for time in [name for name in operation if name.endswith(("_ps", "_us", "_ns")) or name in ("start", "finish")]:
            operation.pop(time)
    return schedule["operations"]


@pytest.mark.parametrize("policy", ["on-demand", "pre-gated", "on-demand-cache"])
def test_does_what_the_program_does(small: pg.Trace, program: Run, policy: str, tmp_path: Path) -> None:
    """The same operations in the same order; the same configuration; what is counted is equal, also simulated."""
    cache: dict[str, Any] = {"cache": "25%"} if policy == "on-demand-cache" else {}
    measured = pg.execute(small, policy=policy, record_steps=3, **cache, **RUN)
    assert measured.status == "ok" and measured.evidence == "measured" and measured.tokens_per_s > 0
    assert measured.range is None, "a measured rate is no prediction"
    measured.schedule(tmp_path / "own.json")
    words = ["--model", MODEL, "--gpu-memory", "1GiB", "--compute-threads", "1", *(["--cache", "25%"] if cache else [])]
    program(
        *["execute", "--trace", str(small.path), "--device", "host", "--policy", policy, *words],
        *["--record-steps", "3", "--schedule", str(tmp_path / "theirs.json"), "--json", str(tmp_path / "t.json")],
    )
    assert operations(tmp_path / "own.json") == operations(tmp_path / "theirs.json")
    theirs = json.loads((tmp_path / "t.json").read_text())
    ours = json.loads(measured.json())
    assert {k: v for k, v in ours.items() if k != "results"} == {k: v for k, v in theirs.items() if k != "results"}
    assert ours["results"][0].keys() == theirs["results"][0].keys()
    simulated = pg.simulate(small, model=MODEL, policy=policy, **cache)
    assert simulated.evidence == "simulated"
    counted = [name for name in COUNTS if name in simulated.metrics]
    assert len(counted) >= 3
    assert {name: measured[name] for name in counted} == {name: simulated[name] for name in counted}


def test_timeline_has_measured_times(small: pg.Trace, tmp_path: Path) -> None:
    """Of the steps that were recorded."""
    measured = pg.execute(small, policy="on-demand", record_steps=1, **RUN)
    measured.timeline(tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    with pytest.raises(pg.InputError, match="no step was recorded"):
        pg.execute(small, policy="on-demand", **RUN).timeline(tmp_path / "t.json")


def test_own_parts_decide(small: pg.Trace) -> None:
    """An eviction in Python on a device hits as often as the program's own; its parameters arrive."""
    made: list[int] = []

    @pg.eviction("own-on-device")
    class OnDevice(Fifo):
        def __init__(self, seen: int = 0) -> None:
            made.append(seen)

    def hits(eviction: str, **keys: Any) -> Any:
        policy = pg.policy("on-demand-cache", cache="25%", eviction=eviction, **keys)
        return pg.execute(small, policy=policy, **RUN)["cache.hit_rate"]

    assert hits("own-on-device", cache__seen=7) == hits("fifo")
    assert made[-1] == 7


def test_errors_of_parts_arrive(small: pg.Trace) -> None:
    """Out of a run on a device, which ends; the next one runs."""

    @pg.eviction("own-fails-on-device")
    class Fails(Fifo):
        def victim(self, layer: int, candidates: list[Any]) -> Any:
            raise LookupError("here")

    policy = pg.policy("on-demand-cache", cache="25%", eviction="own-fails-on-device")
    with pytest.raises(LookupError, match="here"):
        pg.execute(small, policy=policy, **RUN)
    assert pg.execute(small, policy="on-demand", **RUN).status == "ok"


def test_refused(small: pg.Trace) -> None:
    """What a device does not execute, and what is no option."""
    with pytest.raises(pg.InputError, match="one GPU"):
        pg.execute(small, policy="on-demand", gpus=2, **RUN)
    with pytest.raises(pg.InputError, match="runs one policy"):
        pg.execute(small, policy="on-demand,pre-gated", **RUN)
    with pytest.raises(pg.InputError, match="no such option"):
        pg.execute(small, policy="on-demand", timeline="t.json", **RUN)
    with pytest.raises(pg.InputError, match="no option of a call"):
        pg.execute(small, policy="on-demand", json="t.json", **RUN)


def test_what_does_not_fit(small: pg.Trace) -> None:
    """Is a result, as in a simulation."""
    result = pg.execute(small, policy="gpu-only", **{**RUN, "gpu_memory": "8MiB"})
    assert result.status == "out-of-memory" and "needs" in result.why
