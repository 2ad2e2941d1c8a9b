# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Simulations are the program's, byte for byte."""

import json
import signal
import threading
import time
from pathlib import Path

import pytest
from conftest import Run

import pregate as pg

COMMON: dict[str, str | int] = {"machine": "rtx3090-pcie4"}
CONFIGURATIONS: list[dict[str, object]] = [
    {"policy": "on-demand"},
    {"policy": "pre-gated"},
    {"policy": "prefetch-all"},
    {"policy": "gpu-only"},
    {"policy": "on-demand-cache", "cache": "25%"},
    {"policy": "on-demand-cache", "cache": "25%", "eviction": "lfu"},
    {"policy": "on-demand-cache", "cache": "64 slots", "cache_scope": "global"},
    {"policy": "on-demand-cache", "cache": "2GiB", "eviction": "belady"},
    {"policy": "pre-gated-cache", "cache": "50%"},
    {"policy": "experts-on-cpu"},
    {"policy": "fiddler"},
    {"policy": "llama-cpp-ncmoe"},
    {"policy": "moe-infinity"},
    {"policy": "on-demand", "batch": 2},
    {"policy": "on-demand", "weights": "q4_k_m", "dense_weights": "q8_0"},
    {"policy": "pre-gated", "set": {"machine.link.h2d.bandwidth": "50GB/s"}},
    {"policy": "pre-gated", "set": {"policy.lookahead.distance": 2}},
    {"policy": "on-demand", "prompt_chunk": 8},
    {"policy": "on-demand", "batcher": "continuous", "batch": 2, "arrival_rate": 5},
    {"policy": "on-demand", "engine": "event"},
    {"policy": "on-demand", "host": "desktop-ddr5-5600", "software": "llama-cpp"},
    {"policy": "on-demand-cache", "cache": "25%", "gpus": 2},
    {"policy": "on-demand-cache", "cache": "25%", "gpus": 4, "ep": 4},
    {"policy": "gpu-only", "tp": 2, "pp": 2},
    {"policy": "pre-gated", "dp": 2, "ep": 2, "set": {"parallel.tokens": "route"}},
    {"policy": "gpu-only", "gpus": 2, "ep": 2, "set": {"parallel.placement": "affinity"}},
    {"policy": "moe-lightning", "batch": 2},
    {"policy": "on-demand-cache", "cache": "25%", "batch": 2, "set": {"policy.compute.micro_batches": 2}},
    {"policy": "klotski", "batch": 2},
    {
        "policy": "on-demand-cache",
        "batcher": "continuous",
        "batch": 2,
        "arrival_rate": 20,
        "set": {"serve.prompts": "beside", "serve.kv_block": 16, "serve.limits.ttft": "1s"},
    },
    {"policy": "pre-gated-cache", "set": {"serve.draft.tokens": 3, "serve.draft.acceptance": 0.8}},
    {"policy": "m2cache"},
    {"policy": "strata", "cache": "10%"},
    {"policy": "mixtral-offloading"},
    {"policy": "moetuner"},
]


def words(options: dict[str, object]) -> list[str]:
    """As the program is called."""
    line: list[str] = []
    for name, value in options.items():
        if isinstance(value, dict):
            for key, each in value.items():
                line += ["--set", f"{key}={each}"]
        else:
            line += ["--" + name.replace("_", "-"), str(value)]
    return line


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=lambda options: " ".join(map(str, options.values())))
def test_json_is_the_programs(trace: pg.Trace, program: Run, options: dict[str, object]) -> None:
    """Every byte."""
    result = pg.simulate(trace, **COMMON, **options)  # type: ignore[arg-type]
    said = program("simulate", "--trace", str(trace.path), *words({**COMMON, **options}), "--json", "-")
    assert result.json() == said


def test_generated_routing_is_the_programs(program: Run) -> None:
    """With its span of locality and its notes, which a saved trace has not."""
    generated = pg.generate(model="olmoe-1b-7b", prompt=16, output=8)
    result = pg.simulate(generated, **COMMON, policy="on-demand")  # type: ignore[arg-type]
    assert result.json() == program(
        "simulate",
        "--model",
        "olmoe-1b-7b",
        "--prompt",
        "16",
        "--output",
        "8",
        "--machine",
        "rtx3090-pcie4",
        "--policy",
        "on-demand",
        "--json",
        "-",
    )


def test_comparison(trace: pg.Trace, program: Run, tmp_path: Path) -> None:
    """The same bytes, and results by place and by name."""
    found = pg.compare(trace, machine="rtx3090-pcie4")
    assert found.json() == program("compare", "--trace", str(trace.path), "--machine", "rtx3090-pcie4", "--json", "-")
    assert [result.policy for result in found] == ["gpu-only", "on-demand", "prefetch-all", "pre-gated"]
    assert found["pre-gated"] is found[3]
    assert found.best.tokens_per_s == max(result.tokens_per_s for result in found)
    with pytest.raises(KeyError):
        found["nothing"]
    frame = found.to_pandas()
    assert list(frame["policy"]) == [result.policy for result in found]
    assert frame["tokens_per_s"].iloc[1] == found[1].tokens_per_s
    assert "tokens/s" in found.table()


def test_all_policies(trace: pg.Trace) -> None:
    """Those that cannot run say why."""
    found = pg.compare(trace, policies="all", machine="rtx3090-pcie4", cache="25%")
    assert len(found) > 20
    assert "near-data" in found.left_out["monde"]


def test_result(trace: pg.Trace, tmp_path: Path) -> None:
    """Metrics, range, reasons, timeline."""
    result = pg.simulate(
        trace, machine="rtx3090-pcie4", policy="pre-gated", record_steps=4, keep_requests=True, sensitivity=True
    )
    assert result.status == "ok"
    assert result.tokens_per_s == result["tokens_per_s"] == result.to_dict()["tokens_per_s"]
    assert result["cache.hit_rate"] == result.metrics["cache.hit_rate"]
    assert result.range is not None and result.range[0] < result.tokens_per_s < result.range[1]
    assert "bound by" in result.why
    assert (result.confidence or "").startswith("uncalibrated")
    assert "machine.link.h2d.bandwidth" in result.sensitivities
    assert result.requests_csv().count("\n") == 3
    result.timeline(tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    result.schedule(tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["operations"]
    with pytest.raises(AttributeError, match="no metric or member 'speed'"):
        _ = result.speed
    with pytest.raises(KeyError):
        _ = result["speed"]


def test_what_does_not_fit(trace: pg.Trace) -> None:
    """Is a result without a rate."""
    result = pg.simulate(trace, machine="rtx3090-pcie4", policy="gpu-only", set={"machine.gpu.memory": "6GiB"})
    assert result.status == "out-of-memory"
    assert "needs" in result.why and result.range is None
    assert "tokens_per_s" not in result.metrics and "peak_gpu_bytes" in result.metrics
    with pytest.raises(ValueError, match="no policy fits"):
        _ = pg.Comparison([result]).best


def test_errors(trace: pg.Trace) -> None:
    """Say what, where, and how to mend it."""
    with pytest.raises(pg.InputError) as raised:
        pg.simulate(trace, machine="rtx309")
    assert "no machine named 'rtx309'" in raised.value.problem
    assert "rtx3090-pcie4" in raised.value.hint
    with pytest.raises(pg.InputError, match="no such option"):
        pg.simulate(trace, machines="rtx3090-pcie4")
    with pytest.raises(pg.InputError, match="runs one policy"):
        pg.simulate(trace, policy="on-demand,pre-gated")
    with pytest.raises(pg.InputError, match="no policy is named"):
        pg.compare(trace, policies=[])
    with pytest.raises(pg.InputError, match="no option of a call"):
        pg.simulate(trace, json="x.json")
    with pytest.raises(pg.InputError, match="no step was recorded"):
        pg.simulate(trace).timeline("t.json")


def test_sweep_and_advise(trace: pg.Trace, tmp_path: Path) -> None:
    """Rows of points, as a simulation of each has them; advice as a dict."""
    rows = pg.sweep(
        trace,
        vary={"machine.link.h2d.bandwidth": ["12GB/s", "24GB/s"]},
        policies=["on-demand", "pre-gated"],
        machine="rtx3090-pcie4",
        database=tmp_path / "s.db",
    )
    assert len(rows) == 4
    one = pg.simulate(trace, machine="rtx3090-pcie4", policy="on-demand", set={"machine.link.h2d.bandwidth": "24GB/s"})
    assert {row["status"] for row in rows} == {"ok"}
    (same,) = [r for r in rows if (r["policy"], r["machine.link.h2d.bandwidth"]) == ("on-demand", "24GB/s")]
    assert same["tokens_per_s"] == pytest.approx(one.tokens_per_s, rel=1e-9)
    advice = pg.advise(model="olmoe-1b-7b", machine="rtx3090-pcie4", prompt=64, output=16)
    assert advice["format_version"] == 1


def test_threads_run_at_once(trace: pg.Trace) -> None:
    """The interpreter's lock is let go: simulations in threads give what they give alone."""
    alone = pg.simulate(trace, machine="rtx3090-pcie4", policy="pre-gated").json()
    found: list[str] = []

    def work() -> None:
        found.append(pg.simulate(trace, machine="rtx3090-pcie4", policy="pre-gated").json())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 4


def test_interrupt(trace: pg.Trace) -> None:
    """Ctrl-C ends a simulation, and what follows is not interrupted."""
    seconds = 60.0

    @pg.eviction("own-slow")
    class Slow:
        """Would take a minute."""

        def victim(self, layer: int, candidates: list[int]) -> int:
            time.sleep(seconds / 1000)
            return candidates[0]

    timer = threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        pg.simulate(trace, policy="on-demand-cache", cache="8 slots", eviction="own-slow")
    timer.join()
    assert pg.simulate(trace, policy="on-demand-cache", cache="8 slots").status == "ok"


def test_lists() -> None:
    """Are the catalogue's."""
    assert "qwen3-30b-a3b" in pg.models() and "rtx4090-pcie4" in pg.machines() and "pre-gated" in pg.policies()
    assert "lru" in pg.evictions() and "llama-cpp" in pg.software() and "desktop-ddr5-5600" in pg.hosts()
