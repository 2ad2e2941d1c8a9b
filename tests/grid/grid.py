#!/usr/bin/env python3
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a grid of policies on traces and machines and holds times, counts and schedules against a baseline.

  grid.py PREGATE                      compare with baseline.txt; exit 1 and name what differs
  grid.py PREGATE --write              make baseline.txt from this program
  grid.py PREGATE --against OTHER      compare two programs, and say where results first differ
  grid.py PREGATE --only TEXT          only configurations whose name contains TEXT

Every configuration is run twice: with the executor that the program chooses, and with the event engine, which records
the schedule of the first steps. Both must agree in every figure. What is hashed is what a simulation decides: times,
counts, bytes, memory and the schedule with its times; not the configuration, the notes nor the confidence, which
describe it. Traces, models and machines are the grid's own, so that the catalogue may change.
"""
import argparse
import concurrent.futures
import hashlib
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RECORDED_STEPS = 4

# What a simulation decides. A result may gain figures; those of the baseline stay.
FIGURES = [
    "status", "reason", "tokens_per_s", "decode_tokens_per_s", "ttft_ms", "tpot_ms", "block_latency_ms", "cache",
    "cache_decode", "h2d_bytes", "h2d_bytes_per_token", "fetches", "exposed_transfer_ms", "exposed_cpu_ms",
    "exposed_host_ms", "peak_gpu_bytes", "peak_gpu_bytes_by_purpose", "usable_gpu_bytes", "host_bytes", "cache_slots",
    "buffer_slots", "prefill_slots", "critical_path_share", "utilisation", "limits", "total_ms", "decode_ms",
    "prefill_ms", "requests", "decode_steps", "output_tokens", "operations",
]


class Router:
    """Draws experts with a popularity, and keeps some from token to token."""

    def __init__(self, seed, experts, top_k, keep):
        self.draw = random.Random(seed)
        self.experts, self.top_k, self.keep = experts, top_k, keep
        self.last = {}

    def token(self, layer):
        chosen = [e for e in self.last.get(layer, []) if self.draw.random() < self.keep]
        while len(chosen) < self.top_k:
            expert = int(self.experts * self.draw.random() ** (1 + layer % 3))
            if expert not in chosen:
                chosen.append(expert)
        self.last[layer] = chosen
        return chosen

    def guess(self, truth):
        """As many experts, most of them right."""
        chosen = []
        for expert in truth:
            wrong = self.draw.random() < 0.3
            expert = int(self.experts * self.draw.random()) if wrong else expert
            if expert not in chosen:
                chosen.append(expert)
        return chosen + [None] * (self.top_k - len(chosen))


def header(stacks, layers, **more):
    return {"format": "pregate-trace", "version": 1, "model": "grid", "stacks": stacks,
            "layers": [dict(stack=s, layer=l, experts=e, top_k=k) for s, l, e, k in layers], **more}


def step(router, layers, phase, tokens, position, predictions=False, drop=0.0, **more):
    experts = [[router.token(layer) for _ in range(tokens)] for layer in layers]
    if drop > 0:
        experts = [[[None if router.draw.random() < drop else e for e in token] for token in layer] for layer in experts]
    line = {"phase": phase, "tokens": tokens, "position": position, "experts": experts, **more}
    if predictions:
        line["predicted"] = [[router.guess(token) for token in layer] for layer in experts]
    return line


def decoder(seed, requests, prompt, steps, tokens=1, predictions=False, drop=0.0):
    layers = range(1, 7)
    more = {"predictions": True, "prediction_distance": 1} if predictions else {}
    lines = [header(["decoder"], [(0, layer, 16, 4) for layer in layers], **more)]
    for request in range(requests):
        router = Router(seed * 100 + request, 16, 4, 0.4)
        lines.append({"request": request})
        position = 0
        if prompt:
            length = prompt + 3 * request
            lines.append(step(router, layers, "prefill", length, 0, predictions, drop))
            position = length
        for number in range(steps + 2 * request):
            now = tokens if number % 2 == 0 else 1
            lines.append(step(router, layers, "decode", now, position, predictions, drop))
            position += now if number % 4 else 1
    return lines


def pair(seed, requests):
    layers = (1, 3, 5)
    lines = [header(["encoder", "decoder"], [(s, layer, 8, 1) for s in (0, 1) for layer in layers])]
    for request in range(requests):
        router = Router(seed * 100 + request, 8, 1, 0.3)
        lines.append({"request": request})
        lines.append(step(router, layers, "encoder", 9 + request, 0, stack=0))
        for number in range(12 + request):
            lines.append(step(router, layers, "decode", 1, number, stack=1))
    return lines


TRACES = {
    "prompted": ("plain", lambda: decoder(1, 3, 10, 12, predictions=True)),
    "steady": ("plain", lambda: decoder(2, 4, 0, 24)),
    "drafted": ("plain", lambda: decoder(3, 3, 5, 14, tokens=3, drop=0.06)),
    "pair": ("pair", lambda: pair(4, 3)),
}
MACHINES = ["rated", "measured", "unified"]
NAMED = ["gpu-only", "on-demand", "on-demand-cache", "pre-gated", "pre-gated-cache", "prefetch-all",
         "prefetch-all-cache"]
EVICTIONS = ["lru", "lfu", "lfu-forget", "fifo", "lifo", "random", "arc", "s3-fifo", "belady", "belady-forced"]


def configurations():
    """(name, trace, arguments), always in the same order."""
    for trace, machine, policy in itertools.product(TRACES, MACHINES, NAMED):
        yield f"{trace}/{machine}/{policy}", trace, ["--machine", machine, "--policy", policy]
    for number, (trace, eviction) in enumerate(itertools.product(TRACES, EVICTIONS)):
        machine = MACHINES[number % 3]
        policy = ["on-demand-cache", "pre-gated-cache"][number % 2]
        cache = ["25%", "3 slots", "60%"][number % 3]
        admission = ["always", "bypass"][number // 2 % 2]
        scope = ["layer", "global"][number // 3 % 2]
        yield (f"{trace}/{machine}/{policy}/{eviction}/{cache}/{scope}/{admission}", trace,
               ["--machine", machine, "--policy", policy, "--cache", cache, "--cache-scope", scope, "--eviction",
                eviction, "--set", f"policy.cache.admission={admission}"])
    draw = random.Random(20261128)

    def one_of(*values):
        return values[int(len(values) * draw.random())]

    for number in range(520):
        trace, machine = one_of(*TRACES), one_of(*MACHINES)
        policy = one_of("on-demand", "on-demand-cache", "pre-gated", "pre-gated-cache", "prefetch-all",
                        "prefetch-all-cache")
        words, sets = ["--machine", machine, "--policy", policy], {}
        cached = draw.random() < 0.65
        on_cpu = draw.random() < 0.25
        if cached:
            words += ["--cache", one_of("1 slot", "3 slots", "25%", "60%", "100%", "20MiB"),
                      "--cache-scope", one_of("layer", "layer", "global"), "--eviction", one_of(*EVICTIONS)]
            sets["cache.admission"] = one_of("always", "bypass")
            sets["cache.split"] = one_of("even", "spread")
        if not cached and not on_cpu and draw.random() < 0.3:
            words += ["--cache", "40%", "--eviction", "given-rate"]
            sets["cache.hit_rate"] = one_of("0.3", "0.75", "1")
        elif not cached:
            words += ["--cache", "0"]
        ahead = one_of("policy", "policy", "none", "pre-gate", "recorded", "given-recall")
        if ahead == "recorded" and trace != "prompted" or on_cpu and policy.startswith("prefetch"):
            ahead = "given-recall"
        if ahead != "policy":
            sets["lookahead.kind"] = ahead
        if ahead in ("pre-gate", "given-recall"):
            sets["lookahead.distance"] = one_of("1", "2", "3", "9")
        if ahead == "given-recall":
            sets["lookahead.recall"] = one_of("0", "0.6", "0.9", "1")
        if draw.random() < 0.4:
            sets["transfer.queue"] = "demand-first"
        if draw.random() < 0.3:
            sets["transfer.chunk"] = one_of("64KiB", "300KiB", "1MiB")
        if draw.random() < 0.25:
            sets["transfer.staging_copies"] = one_of("1", "3")
        if draw.random() < 0.3 and "transfer.queue" not in sets and not on_cpu and "cache.hit_rate" not in sets:
            sets["transfer.write_back"] = "swap"
        if draw.random() < 0.15:
            sets["transfer.pinned"] = "false"
        if draw.random() < 0.3:
            sets["compute.experts"] = "per-expert"
        if draw.random() < 0.3:
            sets["placement.kind"] = one_of("popular", "first-layers")
            sets["placement.count"] = one_of("0", "1", "2", "5")
        if on_cpu:
            sets["miss.service"] = "compute-on-cpu"
            sets["miss.admission"] = "background" if cached else "none"
        batch = one_of(1, 1, 2, 3)
        if batch > 1:
            words += ["--batch", str(batch)]
        if draw.random() < 0.15:
            words += ["--count-experts", "decoder"]
        for key, value in sets.items():
            words += ["--set", f"policy.{key}={value}"]
        yield f"{number:03d}/{trace}/" + "/".join(w for w in words if not w.startswith("--")), trace, words


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


class Program:
    def __init__(self, path, folder):
        self.path, self.folder = path, folder
        self.old_words = b"given-recall" not in subprocess.run([path, "list", "parts"], capture_output=True).stdout

    def call(self, words):
        if self.old_words:
            words = [w.replace("given-recall", "predictor") for w in words]
        return subprocess.run([self.path, *words], cwd=self.folder, capture_output=True, text=True)

    def simulate(self, name, trace, words, more):
        out = self.folder / f"{digest([self.path, name, more])}.json"
        words = [str(HERE / "machines" / f"{w}.toml") if before == "--machine" else w
                 for before, w in zip([""] + words, words)]
        model = str(HERE / "models" / f"{TRACES[trace][0]}.toml")
        done = self.call(["simulate", "--trace", f"{trace}.db", "--model", model, "--json", str(out), *words, *more])
        if done.returncode == 2:
            return "refused", done.stderr
        if done.returncode != 0:
            return "failed", f"exit {done.returncode}: {done.stderr}"
        results = json.loads(out.read_text())
        out.unlink()
        (result,) = results["results"]
        figures = {key: result.get(key) for key in FIGURES}
        if result["status"] == "out-of-memory":  # its words name the policy's file
            figures["reason"] = "out of memory"
        return "ran", figures | {"trace_hash": results["trace_hash"]}

    def run(self, configuration):
        """What the executor of choice says, what the event engine says, the schedule."""
        name, trace, words = configuration
        chosen = self.simulate(name, trace, words, [])
        schedule = self.folder / f"{digest([self.path, name, 's'])}.json"
        recorded = self.simulate(name, trace, words,
                                 ["--schedule", str(schedule), "--record-steps", str(RECORDED_STEPS)])
        operations = None
        if schedule.exists():
            operations = json.loads(schedule.read_text())
            schedule.unlink()
        return chosen, recorded, operations


def first_difference(a, b, path=""):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            found = first_difference(a.get(key), b.get(key), f"{path}.{key}")
            if found:
                return found
        return None
    if isinstance(a, list) and isinstance(b, list):
        for i, (x, y) in enumerate(itertools.zip_longest(a, b)):
            found = first_difference(x, y, f"{path}[{i}]")
            if found:
                return found
        return None
    return None if a == b else f"{path or 'all'}: {str(a)[:120]} | {str(b)[:120]}"


def line_of(name, answer):
    chosen, _, operations = answer
    if chosen[0] == "refused":
        return f"{name}\trefused"
    return f"{name}\t{digest(chosen[1])}\t{digest(operations) if operations else '-'}"


def disagreement(answer):
    chosen, recorded, _ = answer
    if chosen[0] != recorded[0]:
        return f"alone it {chosen[0]}, recorded it {recorded[0]}: {recorded[1] if recorded[0] != 'ran' else ''}"
    return first_difference(chosen[1], recorded[1]) if chosen[0] == "ran" else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("pregate")
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--against")
    arguments.add_argument("--only", default="")
    arguments.add_argument("--baseline", default=HERE / "baseline.txt", type=pathlib.Path)
    given = arguments.parse_args()
    chosen = [c for c in configurations() if given.only in c[0]]
    faults = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        program = Program(os.path.abspath(given.pregate), folder)
        other = Program(os.path.abspath(given.against), folder) if given.against else None
        for name, (_, make) in TRACES.items():
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in make()))
            done = program.call(["trace", "import", f"{name}.jsonl", "-o", f"{name}.db"])
            if done.returncode != 0:
                sys.exit(f"trace {name}: {done.stderr}")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            answers = list(pool.map(program.run, chosen))
            others = list(pool.map(other.run, chosen)) if other else []
    lines = {name: line_of(name, answer) for (name, _, _), answer in zip(chosen, answers)}
    for (name, _, _), answer in zip(chosen, answers):
        if answer[0][0] == "failed":
            faults.append(f"{name}: {answer[0][1]}")
        elif (found := disagreement(answer)) is not None:
            faults.append(f"{name}: executors differ: {found}")
    for (name, _, _), mine, theirs in zip(chosen, answers, others):
        for what, a, b in zip(("figures", "recorded figures", "schedule"), mine, theirs):
            found = first_difference(list(a) if isinstance(a, tuple) else a, list(b) if isinstance(b, tuple) else b)
            if found and not (isinstance(a, tuple) and a[0] == b[0] == "refused"):
                faults.append(f"{name}: {what}: {found}")
    if given.write:
        given.baseline.write_text("\n".join(lines.values()) + "\n")
    elif not other:
        expected = dict((line.split("\t")[0], line) for line in given.baseline.read_text().splitlines())
        for name, line in lines.items():
            if expected.get(name) != line:
                faults.append(f"{name}: baseline {expected.get(name, 'lacks it')}, now {line}")
        if not given.only and set(expected) != set(lines):
            faults.append("the baseline has configurations that the grid has not")
    ran = [line for line in lines.values() if not line.endswith("refused")]
    print(f"{len(lines)} configurations, {len(lines) - len(ran)} refused, "
          f"{sum(1 for l in ran if l.endswith('-'))} without a schedule (out of memory), {len(faults)} differ")
    for fault in faults[:40]:
        print("  " + fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
