#!/usr/bin/env python3
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Draws the first MoE layers of one step of several timelines, one above the other on the same time axis.

    pregate simulate ... --policy on-demand --timeline a.json
    pregate simulate ... --policy pre-gated --timeline b.json
    scripts/draw_timeline.py a.json b.json -o timeline.png --step 3 --layers 3

Input: files of `pregate simulate --timeline` (docs/cli.md). Needs matplotlib.
"""
import argparse
import json
import sys

# Okabe and Ito's palette, which survives colour blindness; the lightness differs as well, for print.
STYLE = {  # category: (colour, legend)
    "dense_layer": ("#DDDDDD", "dense layer"),
    "attention": ("#56B4E9", "attention"),
    "gate": ("#F0E442", "gate"),
    "gate_readback": ("#000000", "read-back of the expert ids"),
    "experts": ("#0072B2", "expert computation"),
    "fetch": ("#E69F00", "expert copy"),
    "step_overhead": ("#BBBBBB", "step overhead"),
    "head": ("#999999", "output head"),
}
WHITE_TEXT = {"experts", "gate_readback"}
ROWS = {"stream compute": "GPU compute", "stream h2d": "copy to GPU", "stream d2h": "copy to host"}


def read_step(path, step, layers):
    """Slices of one step on the streams, in ms from its start, up to the experts of the `layers`-th MoE layer."""
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    names = {e["tid"]: e["args"]["name"] for e in document["traceEvents"]
             if e["ph"] == "M" and e["name"] == "thread_name"}
    slices = [e for e in document["traceEvents"] if e["ph"] == "X" and e["args"]["step"] == step
              and names.get(e["tid"]) in ROWS]
    if not slices:
        sys.exit(f"error: {path}: step {step} was not recorded (see --record-steps)")
    begin = min(e["ts"] for e in slices)
    layer_of = lambda e: int(next(w for w in e["name"].split() if w.startswith("L"))[1:])
    moe = sorted({layer_of(e) for e in slices if e["cat"] == "experts"})
    if not moe:
        sys.exit(f"error: {path}: step {step} has no MoE layer")
    last = moe[min(layers, len(moe)) - 1]
    end = max(e["ts"] + e["dur"] for e in slices if e["cat"] == "experts" and layer_of(e) == last)
    bars = [(names[e["tid"]], e["cat"], e["name"], (e["ts"] - begin) / 1e3, e["dur"] / 1e3) for e in slices]
    return document["otherData"], bars, (end - begin) / 1e3


def main():
    parser = argparse.ArgumentParser(description="Draws the first MoE layers of one step of several timelines.")
    parser.add_argument("timelines", nargs="+", help="files of pregate simulate --timeline")
    parser.add_argument("-o", "--output", required=True, help="picture to write (.png, .svg)")
    parser.add_argument("--step", type=int, default=0, help="step of the trace, counted from 0")
    parser.add_argument("--layers", type=int, default=3, help="MoE layers to draw")
    options = parser.parse_args()

    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    panels = [read_step(path, options.step, options.layers) for path in options.timelines]
    width = 1.02 * max(end for _, _, end in panels)
    figure, axes = plt.subplots(len(panels), 1, sharex=True, figsize=(10, 1.75 * len(panels) + 0.9), squeeze=False)
    used = set()
    for axis, (about, bars, end) in zip(axes[:, 0], panels):
        rows = [stream for stream in ROWS if any(bar[0] == stream for bar in bars)]
        for stream, category, name, start, duration in bars:
            if start >= end:
                continue
            colour, _ = STYLE.get(category, ("#CC79A7", category))
            used.add(category)
            row = len(rows) - 1 - rows.index(stream)
            axis.barh(row, duration, left=start, height=0.72, color=colour, edgecolor="black", linewidth=0.5)
            shown = min(duration, width - start)
            if shown > 0.035 * width:
                text = name.replace("fetch ", "").replace("dense_layer ", "").replace("attention ", "")
                axis.text(start + shown / 2, row, text, ha="center", va="center", fontsize=7.5,
                          color="white" if category in WHITE_TEXT else "black", clip_on=True)
        axis.axvline(end, color="black", linewidth=1, linestyle="--")
        axis.annotate(f"{end:.2f} ms", (end, 1.0), xycoords=("data", "axes fraction"), xytext=(-3, 3),
                      textcoords="offset points", fontsize=8.5, ha="right")
        axis.set_yticks(range(len(rows)), [ROWS[stream] for stream in reversed(rows)], fontsize=9)
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.set_title(about["policy"], fontsize=10.5, fontweight="bold", loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    about = panels[0][0]
    bottom = axes[-1, 0]
    bottom.set_xlim(0, width)
    bottom.set_xlabel(f"time since the start of the step (ms)   ·   {about['model']} on {about['machine']}, simulated;"
                      " L = layer, E = expert", fontsize=9)
    legend = [Patch(facecolor=STYLE[c][0], edgecolor="black", linewidth=0.5, label=STYLE[c][1])
              for c in STYLE if c in used]
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.legend(handles=legend, loc="lower center", ncol=len(legend), fontsize=8.5, frameon=False)
    figure.savefig(options.output, dpi=130, metadata={"Software": None} if options.output.endswith(".png") else None)


if __name__ == "__main__":
    main()
