# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Routing traces: read, looked at, generated, written."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from pregate import _core
from pregate.errors import InputError

Ids = npt.NDArray[np.uint16]

NO_EXPERT: int = _core.no_expert
"""The id of a place without an expert: dropped, null, or not recorded."""


@dataclass(frozen=True)
class Routing:
    """What the tokens of one MoE layer chose."""

    ids: Ids
    """[tokens, top_k], in router order; NO_EXPERT where there is none."""
    weights: npt.NDArray[np.float32] | None
    """[tokens, top_k], gate weights as recorded; None where the trace has none."""
    request: npt.NDArray[np.int64]
    """[tokens]: of which request, counted from 0."""
    step: npt.NDArray[np.int64]
    """[tokens]: in which step of it, counted from 0."""


class Trace:
    """A trace database."""

    def __init__(self, path: str | Path) -> None:
        """InputError where it is no trace."""
        self.path = Path(path)
        self.info: Mapping[str, Any] = dict(_core.trace_info(str(path)))
        """model, layers (stack, layer, experts, top_k, expert_bytes), requests, steps, tokens, content_hash, ..."""

    def arguments(self) -> list[str]:
        """As options of the program."""
        return ["--trace", str(self.path)]

    @property
    def layers(self) -> int:
        """MoE layers."""
        return len(self.info["layers"])

    def routing(self, layer: int, phase: str = "all") -> Routing:
        """Of one MoE layer, counted from 0 over all stacks; `phase`: all, encoder, prefill or decode."""
        arrays: Any = _core.routing(str(self.path), layer, phase, 0)
        return Routing(*arrays)

    def predictions(self, layer: int, distance: int, phase: str = "all") -> Routing:
        """The ids that were predicted for a MoE layer when those of the layer `distance` before it were known.

        `info` says at which distances (prediction_distances) and by what (predicted_by). Without weights.
        """
        if distance < 1:
            raise InputError("distance", f"{distance} is not ahead", "1 is the layer before")
        arrays: Any = _core.routing(str(self.path), layer, phase, distance)
        return Routing(*arrays)

    def statistics(self) -> dict[str, float]:
        """Skew, overlap from token to token, distinct experts, ...: means over decoder layers (docs/traces.md)."""
        return _core.statistics(str(self.path))

    def check(self) -> list[str]:
        """Everything that is wrong with it; empty: sound."""
        return _core.trace_check(str(self.path))

    def __repr__(self) -> str:
        """Path and size."""
        info = self.info
        return f"<Trace {self.path}: {info['requests']} requests, {info['tokens']} tokens, {self.layers} MoE layers>"


class Generated:
    """Routing that is generated as it is read; nothing is on the disk."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options` by the program's names."""
        self._options = {name: str(value) for name, value in options.items() if value is not None}

    def arguments(self, also: Mapping[str, Any] = MappingProxyType({})) -> list[str]:
        """As options of the program, without those that are in `also`, where they must be the same."""
        for name, value in self._options.items():
            if also.get(name) is not None and str(also[name]) != value:
                raise InputError(
                    name, f"is {also[name]}, and the routing is generated for {value}", "generate what is to be run"
                )
        return [
            word for name, value in self._options.items() if also.get(name) is None for word in ("--" + name, value)
        ]

    def save(self, path: str | Path, *, overwrite: bool = False) -> Trace:
        """Writes it as a trace database."""
        words = ["--output-tokens" if word == "--output" else word for word in self.arguments()]
        _core.trace_generate([*words, "-o", str(path), *(["--overwrite"] if overwrite else [])])
        return Trace(path)

    def __repr__(self) -> str:
        """What it is of."""
        return f"<Generated {' '.join(self.arguments())}>"


def load_trace(path: str | Path) -> Trace:
    """Opens a trace database."""
    return Trace(path)


def generate(
    *,
    model: str | None = None,
    locality: str | None = None,
    prompt: int | None = None,
    output: int | None = None,
    requests: int | None = None,
    seed: int | None = None,
    profile: str | None = None,
) -> Generated:
    """Routing of a model's own shape, of low, typical or high locality, or of a generator profile.

    Defaults are the program's: a prompt of 512 tokens, an answer of 128.
    """
    return Generated(
        {
            "model": model,
            "locality": locality,
            "prompt": prompt,
            "output": output,
            "requests": requests,
            "seed": seed,
            "profile": profile,
        }
    )


def import_trace(*files: str | Path, output: str | Path, overwrite: bool = False, **options: str | int | None) -> Trace:
    """Imports recordings of other programs (docs/recording.md).

    Options: format, model, experts, top_k, prompt_tokens.
    """
    words = [str(file) for file in files]
    for name, value in options.items():
        if value is not None:
            words += ["--" + name.replace("_", "-"), str(value)]
    _core.trace_import([*words, "-o", str(output), *(["--overwrite"] if overwrite else [])])
    return Trace(output)


@dataclass(frozen=True)
class Hits:
    """Of an expert cache on a trace, without any timing."""

    routed: int
    hits: int
    accesses: int
    decode_hits: int
    decode_accesses: int
    read_bytes: int

    @property
    def hit_rate(self) -> float:
        """Of all activated experts."""
        return self.hits / self.accesses if self.accesses else 0.0

    @property
    def decode_hit_rate(self) -> float:
        """Of those of decode steps."""
        return self.decode_hits / self.decode_accesses if self.decode_accesses else 0.0


def replay(
    trace: Trace | Generated | str | Path,
    *,
    cache: str = "25%",
    eviction: str = "lru",
    scope: str = "layer",
    admission: str = "always",
    expert_bytes: int = 0,
    set: Mapping[str, str | int | float | bool] | None = None,
) -> Hits:
    """Hit rates of an expert cache; each layer's activated set is one atomic look-up (docs/cache.md).

    `set` are further keys of the cache, as parameters of the eviction: ``{"policy.cache.decay": 0.9}``.
    """
    if isinstance(trace, Generated):
        with tempfile.TemporaryDirectory() as folder:
            return replay(
                trace.save(Path(folder) / "t.db"),
                cache=cache,
                eviction=eviction,
                scope=scope,
                admission=admission,
                expert_bytes=expert_bytes,
                set=set,
            )
    path = trace.path if isinstance(trace, Trace) else trace
    more = [(key, setting_text(value)) for key, value in (set or {}).items()]
    return Hits(**_core.replay(str(path), cache, eviction, scope, admission, expert_bytes, more))


def setting_text(value: str | int | float | bool) -> str:
    """As ``--set`` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class TraceWriter:
    """Writes a trace database, step by step; as a context manager it is there whole at the end, or not at all.

    >>> with TraceWriter("t.db", layers=[(0, 8, 2), (1, 8, 2)], model="mine") as writer:
    ...     writer.begin_request("first")
    ...     writer.add("prefill", ids)      # [layers, tokens, top_k], of all MoE layers of the stack
    """

    def __init__(
        self,
        path: str | Path,
        *,
        layers: Sequence[tuple[int, int, int] | tuple[str, int, int, int]],
        model: str = "",
        stack: str = "decoder",
        has_weights: bool = False,
        prediction_distances: Sequence[int] = (),
        predicted_by: str = "",
        provenance: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        """`layers`: (index among all layers, experts, experts a token) of each MoE layer of `stack`.

        Or with the name of the layer's own stack in front: an encoder's come first. `prediction_distances`: at how many
        MoE layers ahead experts were predicted, ascending; `predicted_by`: by which kind of lookahead.
        """
        self._path = Path(path)
        self._stack = stack
        self._weighted = has_weights
        rows: list[tuple[str, int, int, int]] = [row if len(row) == 4 else (stack, *row) for row in layers]
        self._writer = _core.TraceWriter(
            str(path),
            model,
            rows,
            max((row[3] for row in rows), default=0),
            has_weights,
            list(prediction_distances),
            predicted_by,
            list((provenance or {}).items()),
            overwrite,
        )
        self._sequences = 1

    def begin_request(self, label: str = "", sequences: int = 1) -> None:
        """The steps that follow are of it; `sequences` go through a pass together."""
        self._sequences = sequences
        self._writer.begin_request(label, sequences)

    def add(
        self,
        phase: str,
        ids: Sequence[npt.ArrayLike] | npt.NDArray[Any],
        *,
        weights: Sequence[npt.ArrayLike] | npt.NDArray[Any] | None = None,
        predicted: Sequence[Sequence[npt.ArrayLike] | npt.NDArray[Any]] | npt.NDArray[Any] | None = None,
        stack: str | None = None,
        position: int = 0,
        tokens_of_sequences: Sequence[int] = (),
    ) -> None:
        """One pass: of each MoE layer of the stack the ids of its tokens, [tokens, top_k]; weights alike.

        `predicted`: the same for each of the prediction distances.

        `phase` is encoder, prefill or decode; `position` the tokens that each sequence has in its cache already.
        """
        tokens = int(np.asarray(ids[0]).shape[0])
        flat = _flat(ids, np.uint16)
        self._writer.add(
            phase,
            stack or self._stack,
            self._sequences,
            tokens,
            position,
            flat,
            _flat(weights, np.float32) if weights is not None else None,
            _flat([_flat(each, np.uint16) for each in predicted], np.uint16) if predicted is not None else None,
            list(tokens_of_sequences),
        )

    def commit(self) -> Trace:
        """Puts it in its place."""
        self._writer.commit()
        return Trace(self._path)

    def __enter__(self) -> TraceWriter:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Commits, unless something was raised."""
        if kind is None:
            self._writer.commit()
        else:
            self._writer.discard()


def _flat(parts: Sequence[npt.ArrayLike] | npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    return np.ascontiguousarray(np.concatenate([np.asarray(part).reshape(-1) for part in parts]), dtype=dtype)
