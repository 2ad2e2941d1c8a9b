# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""What a simulation found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pregate import _core

if TYPE_CHECKING:
    import pandas
    import polars

Value = int | float | str


class Result:
    """One policy on one trace, model and machine.

    A metric is had by its name, which carries its unit: ``result["ttft_ms"]``, ``result["cache.hit_rate"]``, or
    where it is a plain word as an attribute: ``result.tokens_per_s``. A metric that the run does not have raises
    KeyError (AttributeError), as do all but memory where the policy did not fit: look at `status` first.
    """

    def __init__(self, runs: _core.Runs, index: int, label: str | None = None) -> None:
        """Result `index` of a run; `label` stands for the policy's name."""
        self._runs = runs
        self._index = index
        self.metrics: Mapping[str, Value] = runs.metrics(index)
        """All metrics by name (`pregate list metrics` tells what they are)."""
        self.policy: str = label if label is not None else runs.policy(index)

    def __getitem__(self, name: str) -> Value:
        """A metric by its full name."""
        return self.metrics[name]

    def __getattr__(self, name: str) -> Value:
        """A metric whose name is a plain word."""
        try:
            return self.__dict__["metrics"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"no metric or member '{name}'; metrics has all names") from None

    def __dir__(self) -> list[str]:
        """Members and metrics, for completion."""
        return sorted([*super().__dir__(), *(name for name in self.metrics if "." not in name)])

    @property
    def tokens_per_s(self) -> float:
        """Output tokens a second, prompts included; KeyError where the policy did not fit."""
        return float(self.metrics["tokens_per_s"])

    @property
    def status(self) -> str:
        """'ok', 'out-of-memory' (then `why` tells what lacks) or 'interrupted'."""
        return self._runs.status(self._index)

    @property
    def evidence(self) -> str:
        """'simulated', or of `pregate.execute` 'measured'."""
        return self._runs.evidence(self._index)

    @property
    def range(self) -> tuple[float, float] | None:
        """Tokens/s to expect, by how far published rates of the like were off; None where there is no rate."""
        return self._runs.range(self._index)

    @property
    def confidence(self) -> str | None:
        """What stands behind the rate: 'calibrated: ...', 'published-case: ...' or 'uncalibrated: ...'."""
        return self._runs.confidence(self._index)

    @property
    def why(self) -> str:
        """What bounds it and where its time went, in a sentence."""
        return self._runs.why(self._index)

    @property
    def notes(self) -> list[str]:
        """What was assumed, decided or had no effect."""
        return self._runs.notes()

    @property
    def sensitivities(self) -> dict[str, float]:
        """d tokens/s / d ln of each number of the machine, largest first; of ``simulate(sensitivity=True)``."""
        return dict(self._runs.sensitivities(self._index))

    def json(self) -> str:
        """The program's JSON of the run that it is of (``pregate simulate --json -``), byte for byte."""
        return self._runs.json()

    def to_dict(self) -> dict[str, Any]:
        """Its part of the JSON."""
        return json.loads(self.json())["results"][self._index]  # type: ignore[no-any-return]

    def requests_csv(self) -> str:
        """A row a request with its times; of ``simulate(keep_requests=True)``."""
        return self._runs.requests_csv(self._index)

    def timeline(self, path: str | Path) -> None:
        """Writes a timeline of the recorded steps for Perfetto; of ``record_steps=16``."""
        Path(path).write_text(self._runs.timeline(self._index))

    def schedule(self, path: str | Path) -> None:
        """Writes the schedule of the recorded steps with its times as JSON; of ``record_steps=16``."""
        Path(path).write_text(self._runs.schedule(self._index))

    def to_pandas(self) -> pandas.DataFrame:
        """A frame of one row: policy, status, all metrics, least and most of the range."""
        return Comparison([self]).to_pandas()

    def _row(self) -> dict[str, Value | None]:
        least, most = self.range if self.range is not None else (None, None)
        return {
            "policy": self.policy,
            "status": self.status,
            **self.metrics,
            "tokens_per_s_least": least,
            "tokens_per_s_most": most,
        }

    def __repr__(self) -> str:
        """Policy and rate with its range."""
        if "tokens_per_s" not in self.metrics:
            return f"<Result {self.policy}: {self.status}, {self.why}>"
        text = f"<Result {self.policy}: {self.tokens_per_s:.4g} tokens/s"
        if self.range is not None:
            text += f" ({self.range[0]:.3g} to {self.range[1]:.3g})"
        return text + ">"


class Comparison(Sequence[Result]):
    """Results side by side: by index, or by the policy's name."""

    def __init__(self, results: Sequence[Result], left_out: Mapping[str, str] | None = None) -> None:
        """In this order; `left_out` are policies that the run does not permit, with the reason."""
        self._results = list(results)
        self.left_out: Mapping[str, str] = left_out if left_out is not None else {}

    def __getitem__(self, key: Any) -> Any:
        """A result by its place or its policy."""
        if isinstance(key, str):
            for result in self._results:
                if result.policy == key:
                    return result
            raise KeyError(key)
        return self._results[key]

    def __len__(self) -> int:
        """How many results."""
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        """In their order."""
        return iter(self._results)

    @property
    def best(self) -> Result:
        """The one of most tokens/s; ValueError where none fits."""
        fits = [result for result in self._results if "tokens_per_s" in result.metrics]
        if not fits:
            raise ValueError("no policy fits: " + "; ".join(result.why for result in self._results))
        return max(fits, key=lambda result: result.tokens_per_s)

    def _runs(self) -> list[_core.Runs]:
        seen: list[_core.Runs] = []
        for result in self._results:
            if not any(result._runs is other for other in seen):
                seen.append(result._runs)
        return seen

    def json(self) -> str:
        """The program's JSON; where policies differ in their settings, a list of it, one a setting."""
        texts = [runs.json() for runs in self._runs()]
        return texts[0] if len(texts) == 1 else "[" + ",".join(texts) + "]"

    def table(self, columns: int = 100) -> str:
        """The program's table, at most so wide, with what it says below."""
        return "\n".join(runs.table(columns) for runs in self._runs())

    def to_records(self) -> list[dict[str, Value | None]]:
        """A dict a result: policy, status, all metrics, least and most of the range."""
        return [result._row() for result in self._results]

    def to_pandas(self) -> pandas.DataFrame:
        """A row a result; needs pandas."""
        import pandas

        return pandas.DataFrame(self.to_records())

    def to_polars(self) -> polars.DataFrame:
        """A row a result; needs polars."""
        import polars

        return polars.DataFrame(self.to_records())

    def __repr__(self) -> str:
        """A line a result."""
        return "\n".join(repr(result) for result in self._results)
