# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Charts hold the figures that they are of."""

import pytest

import pregate as pg

matplotlib = pytest.importorskip("matplotlib", reason="SKIPPED: matplotlib absent")
matplotlib.use("Agg")

from pregate import plot  # noqa: E402


def test_time_shares(trace: pg.Trace) -> None:
    """Bars of a policy sum to its whole time; one that does not fit has none."""
    found = pg.compare(trace, machine="rtx3090-pcie4", set={"machine.gpu.memory": "8GiB"})
    axes = plot.time_shares(found)
    fits = [result for result in found if result.status == "ok"]
    assert len(axes.get_yticklabels()) == len(fits) < len(found)
    widths = [sum(bars[row].get_width() for bars in axes.containers) for row in range(len(fits))]
    assert widths == pytest.approx([100] * len(fits), abs=2)


def test_hits(trace: pg.Trace) -> None:
    """Rise with the capacity; nothing is above Belady."""
    axes = plot.hits_over_capacity(trace, capacities=(10, 40, 80))
    lru, lfu, belady = (line.get_ydata() for line in axes.get_lines())
    assert list(lru) == sorted(lru)
    assert all(belady >= lru) and all(belady >= lfu)


def test_timeline(trace: pg.Trace) -> None:
    """Of a step that was recorded, and of no other."""
    result = pg.simulate(trace, machine="rtx3090-pcie4", policy="pre-gated", record_steps=2)
    axes = plot.step_timeline(result, 1)
    assert len(axes.containers) > 16
    with pytest.raises(ValueError, match="was not recorded"):
        plot.step_timeline(result, 5)


def test_predicted() -> None:
    """A point a row."""
    axes = plot.predicted_against_measured([("a", 10, 11), ("b", 100, 90), ("a", 50, 50)])
    assert sum(len(points.get_offsets()) for points in axes.collections[:2]) == 3
