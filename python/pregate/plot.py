# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Charts; needs matplotlib. Each draws into `axes`, or into a new figure, and returns the axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pregate.results import Comparison, Result
from pregate.traces import Generated, Trace, replay

# Okabe and Ito's colours, which stay apart for eyes that do not see all of them.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def _axes(axes: Any, width: float, height: float) -> Any:
    if axes is not None:
        return axes
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def time_shares(results: Comparison | Iterable[Result], axes: Any = None) -> Any:
    """A bar a policy: which share of the time is bound by what, with its tokens/s beside it."""
    shown = [result for result in results if "tokens_per_s" in result.metrics]
    axes = _axes(axes, 8, 1.2 + 0.35 * len(shown))
    prefix = "limits.share."
    limits = sorted({name[len(prefix) :] for result in shown for name in result.metrics if name.startswith(prefix)})
    total = {limit: sum(float(result.metrics.get(prefix + limit, 0)) for result in shown) for limit in limits}
    limits = [limit for limit in sorted(limits, key=lambda each: -total[each]) if total[limit] > 0.005]
    left = [0.0] * len(shown)
    for number, limit in enumerate(limits):
        shares = [100 * float(result.metrics.get(prefix + limit, 0)) for result in shown]
        hatch = "" if number < len(COLOURS) else "//"
        axes.barh(
            range(len(shown)),
            shares,
            left=left,
            color=COLOURS[number % len(COLOURS)],
            hatch=hatch,
            label=limit.replace("_", " "),
        )
        left = [begin + share for begin, share in zip(left, shares, strict=True)]
    axes.set_yticks(range(len(shown)), [f"{result.policy}\n{result.tokens_per_s:.3g} tokens/s" for result in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the time (%), by what bounds it")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axes


def hits_over_capacity(
    trace: Trace | Generated | str | Path,
    evictions: Sequence[str] = ("lru", "lfu", "belady"),
    capacities: Sequence[int] = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90),
    axes: Any = None,
    **cache: Any,
) -> Any:
    """Hit rate against capacity (% of the experts), a line an eviction; Belady's, the best there is, dashed."""
    axes = _axes(axes, 7, 4)
    for number, eviction in enumerate(evictions):
        rates = [100 * replay(trace, cache=f"{share}%", eviction=eviction, **cache).hit_rate for share in capacities]
        is_bound = eviction.startswith("belady")
        axes.plot(
            capacities,
            rates,
            color="#000000" if is_bound else COLOURS[number % 7],
            linestyle="--" if is_bound else "-",
            marker="osD^v<>p"[number % 8],
            label=eviction,
        )
    axes.set_xlabel("cache capacity (% of the experts)")
    axes.set_ylabel("hits (% of activated experts)")
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return axes


def step_timeline(result: Result, step: int = 1, axes: Any = None) -> Any:
    """A recorded step's operations by stream; of ``simulate(record_steps=step + 1)``."""
    import json

    events = json.loads(result._runs.timeline(result._index))["traceEvents"]
    tracks = {
        event["tid"]: event["args"]["name"]
        for event in events
        if event.get("ph") == "M" and event.get("name") == "thread_name"
    }
    spans = [event for event in events if event.get("ph") == "X" and int(event.get("args", {}).get("step", -1)) == step]
    if not spans:
        raise ValueError(f"step {step} was not recorded: simulate(record_steps={step + 1})")
    used = [tid for tid in tracks if any(span["tid"] == tid for span in spans)]
    axes = _axes(axes, 10, 1 + 0.5 * len(used))
    begin = min(span["ts"] for span in spans)
    for span in spans:
        row = used.index(span["tid"])
        axes.barh(
            row,
            span["dur"] / 1000,
            left=(span["ts"] - begin) / 1000,
            color=COLOURS[row % len(COLOURS)],
            edgecolor="white",
            linewidth=0.3,
        )
    axes.set_yticks(range(len(used)), [tracks[tid] for tid in used])
    axes.invert_yaxis()
    axes.set_xlabel(f"ms from the start of step {step}")
    axes.set_title(result.policy, loc="left")
    return axes


def predicted_against_measured(
    rows: Iterable[tuple[str, float, float]], unit: str = "tokens/s", axes: Any = None
) -> Any:
    """A point a row (label, predicted, measured), both axes logarithmic, with the band of +-20 %."""
    axes = _axes(axes, 5, 5)
    points = list(rows)
    for number, label in enumerate(dict.fromkeys(point[0] for point in points)):
        own = [point for point in points if point[0] == label]
        axes.scatter(
            [point[2] for point in own],
            [point[1] for point in own],
            color=COLOURS[number % len(COLOURS)],
            marker="osD^v<>p"[number % 8],
            label=label,
            zorder=3,
        )
    values = [value for point in points for value in point[1:]]
    ends = [min(values) / 1.3, max(values) * 1.3]
    axes.plot(ends, ends, color="black", linewidth=1)
    axes.fill_between(
        ends, [0.8 * end for end in ends], [1.2 * end for end in ends], color="grey", alpha=0.2, label="± 20 %"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"measured ({unit})")
    axes.set_ylabel(f"predicted ({unit})")
    axes.set_aspect("equal")
    axes.legend(frameon=False)
    return axes
