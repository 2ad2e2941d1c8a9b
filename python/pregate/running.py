# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Simulations: one, several side by side, many; and advice."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pregate import _core
from pregate.errors import InputError
from pregate.results import Comparison, Result
from pregate.traces import Generated, Trace, setting_text

Setting = str | int | float | bool
AnyTrace = Trace | Generated | str | Path


@dataclass(frozen=True)
class Policy:
    """A policy of the catalogue, or a file, with settings of its own."""

    name: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    label: str = ""

    def arguments(self) -> list[str]:
        """Its settings as options of the program."""
        return _options({"set": {f"policy.{key}": value for key, value in self.settings.items()}})


def policy(
    name: str,
    *,
    label: str = "",
    eviction: str | None = None,
    cache: str | None = None,
    predictor: str | None = None,
    prefetcher: str | None = None,
    miss_service: str | None = None,
    **keys: Setting,
) -> Policy:
    """A policy with settings of its own, for `simulate` and `compare`.

    `eviction`, `cache`, `predictor`, `prefetcher` and `miss_service` are short for ``cache.eviction``,
    ``cache.capacity``, ``lookahead.kind``, ``prefetch.kind`` and ``miss.service``; any key of `pregate list parts` is
    given with `__` for its dots: ``policy("on-demand-cache", cache__scope="global")``.
    """
    settings: dict[str, Setting] = {key.replace("__", "."): value for key, value in keys.items()}
    short = {
        "cache.eviction": eviction,
        "cache.capacity": cache,
        "lookahead.kind": predictor,
        "prefetch.kind": prefetcher,
        "miss.service": miss_service,
    }
    settings |= {key: value for key, value in short.items() if value is not None}
    shown = ", ".join(f"{key}={value}" for key, value in settings.items())
    return Policy(name, settings, label or (f"{name} ({shown})" if shown else name))


def _value(text: str) -> str | int | float | None:
    """A cell of a CSV: a number where it is one, None where it is empty."""
    if text == "":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _options(options: Mapping[str, Any]) -> list[str]:
    arguments: list[str] = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        option = "--" + name.replace("_", "-")
        if isinstance(value, Mapping):
            for key, each in value.items():
                arguments += [option, f"{key}={setting_text(each)}"]
        elif value is True:
            arguments.append(option)
        elif isinstance(value, list | tuple):
            for each in value:
                arguments += [option, str(each)]
        else:
            arguments += [option, str(value)]
    return arguments


def _of_trace(trace: AnyTrace | None, options: Mapping[str, Any]) -> list[str]:
    """As options of the program; what generated routing is of may be among `options`, too, and is said once."""
    if trace is None:
        return []
    if isinstance(trace, Generated):
        return trace.arguments(options)
    if isinstance(trace, Trace):
        return trace.arguments()
    return ["--trace", str(trace)]


def _label(each: str | Policy) -> str | None:
    return each.label or None if isinstance(each, Policy) else None


def simulate(
    trace: AnyTrace | None = None,
    *,
    policy: str | Policy = "pre-gated",
    set: Mapping[str, Setting] | None = None,
    **options: Any,
) -> Result:
    """Simulates one policy, exactly as ``pregate simulate`` does.

    Args:
        trace: of `load_trace` or `generate`, or a path; None: routing is generated for `model`.
        policy: a name of `policies()`, a .toml file, or what `policy()` makes.
        set: overrides, e.g. ``{"machine.link.h2d.bandwidth": "50GB/s"}``.
        options: options of the program by name, with `_` for `-`: model, machine, host, software, cache, batch,
            weights, dense_weights, prompt_chunk, threads, ...; and record_steps (for `Result.timeline`),
            keep_requests, sensitivity.

    Raises:
        InputError: says what is wrong, where, and how to mend it.

    """
    name, own = (policy.name, policy.arguments()) if isinstance(policy, Policy) else (policy, [])
    arguments = [*_of_trace(trace, options), *_options({"policy": name, "set": set, **options}), *own]
    return Result(_core.run(arguments, False), 0, _label(policy))


def execute(
    trace: AnyTrace | None = None,
    *,
    policy: str | Policy = "pre-gated",
    set: Mapping[str, Setting] | None = None,
    **options: Any,
) -> Result:
    """Runs one policy for real and measures it, exactly as ``pregate execute`` does (docs/runtime.md).

    The result's `evidence` is 'measured'. `simulate` with the machine file that `calibrate` wrote here, and otherwise
    the same, is its prediction; `validate_device` compares many.

    Args:
        trace: as in `simulate`.
        policy: a name of `policies()`, a .toml file, or what `policy()` makes; parts of one's own decide here as in a
            simulation.
        set: overrides by key. What they say of the machine's rates touches no time.
        options: options of the program by name: model, cache, batch, ...; device ('host': this computer's memory and
            cores, or 'cuda'; default: cuda where a GPU answers), gpu_memory, compute_threads, cpu_threads,
            distinct_experts (weights for so many only, where the memory does not hold all), experts_on_ssd,
            weights_file, attention ('kv-cache': over one, not two products); and record_steps (for `Result.timeline`
            and `Result.schedule`, with measured times).

    Raises:
        InputError: bad input, or what a device does not execute; it says how to mend it.

    """
    name, own = (policy.name, policy.arguments()) if isinstance(policy, Policy) else (policy, [])
    arguments = [*_of_trace(trace, options), *_options({"policy": name, "set": set, **options}), *own]
    return Result(_core.execute(arguments), 0, _label(policy))


def compare(
    trace: AnyTrace | None = None,
    *,
    policies: Iterable[str | Policy] | str = ("gpu-only", "on-demand", "prefetch-all", "pre-gated"),
    set: Mapping[str, Setting] | None = None,
    **options: Any,
) -> Comparison:
    """Simulates several policies on one trace, model and machine, exactly as ``pregate compare`` does.

    `policies` are names or what `policy()` makes; 'all' is every one that can be run so. The rest is as in
    `simulate`.
    """
    chosen: list[str | Policy] = []
    chosen += policies.split(",") if isinstance(policies, str) else policies
    if not chosen:
        raise InputError("policies", "no policy is named", "name some of pregate.policies(), or 'all'")
    common = [*_of_trace(trace, options), *_options({"set": set, **options})]
    plain = [each for each in chosen if isinstance(each, str)]
    results: dict[int, Result] = {}
    left_out: dict[str, str] = {}
    if plain:
        runs = _core.run([*common, "--policy", ",".join(plain)], True)
        left_out = dict(runs.left_out())
        if plain == ["all"]:
            return Comparison([Result(runs, i) for i in range(len(runs))], left_out)
        places = [i for i, each in enumerate(chosen) if isinstance(each, str)]
        results.update({place: Result(runs, i) for i, place in enumerate(places)})
    for place, each in enumerate(chosen):
        if isinstance(each, Policy):
            runs = _core.run([*common, "--policy", each.name, *each.arguments()], True)
            results[place] = Result(runs, 0, _label(each))
    return Comparison([results[i] for i in range(len(chosen))], left_out)


def sweep(
    trace: AnyTrace | None = None,
    *,
    vary: Mapping[str, str | Sequence[Setting]],
    policies: Iterable[str] = ("gpu-only", "on-demand", "prefetch-all", "pre-gated"),
    database: str | Path | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Many machines, settings and policies (docs/sweep.md); points that share their decisions are timed together.

    Args:
        trace: as in `simulate`.
        vary: by key of `set`: values, or a text as the program takes it, ``"12..64GB/s:14"``.
        policies: names.
        database: kept there, and continued if it is there already; None: nothing is kept.
        options: as in `simulate`, and sample ('lhs:100'), yes (more points than are run unasked).

    Returns:
        A dict a point: settings, policy, status, and the figures by their CSV names, None where a point has none;
        ``pandas.DataFrame(rows)`` makes a frame.

    """
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.csv"
        arguments = [*_of_trace(trace, options), *_options({"policy": ",".join(policies), **options})]
        for key, values in vary.items():
            text = values if isinstance(values, str) else ",".join(setting_text(value) for value in values)
            arguments += ["--vary", f"{key}={text}"]
        arguments += ["-o", str(database if database is not None else Path(folder) / "sweep.db")]
        _core.sweep([*arguments, "--csv", str(rows)])
        with rows.open(newline="") as lines:
            return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(lines)]


def advise(**options: Any) -> dict[str, Any]:
    """What to run on a machine and how, and what an upgrade would bring: ``pregate advise --json`` as a dict.

    Options by name: model, machine, host, want, budget_vram, prompt, output, trace, ...
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "advice.json"
        _core.advise([*_options(options), "--json", str(out)])
        return json.loads(out.read_text())  # type: ignore[no-any-return]
