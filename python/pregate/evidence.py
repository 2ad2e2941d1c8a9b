# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Against measurements: those that others published, and this machine's own."""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pregate import _core
from pregate.errors import InputError
from pregate.running import AnyTrace, Setting, _of_trace, _options

if TYPE_CHECKING:
    import pandas
    import polars


class Table:
    """Rows of one kind."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        """Dicts with the same keys."""
        self._rows = rows

    def __len__(self) -> int:
        """How many rows."""
        return len(self._rows)

    def to_records(self) -> list[dict[str, Any]]:
        """A dict a row."""
        return [dict(row) for row in self._rows]

    def to_pandas(self) -> pandas.DataFrame:
        """A frame; needs pandas."""
        import pandas

        return pandas.DataFrame(self._rows)

    def to_polars(self) -> polars.DataFrame:
        """A frame; needs polars."""
        import polars

        return polars.DataFrame(self._rows)


class Validation:
    """The program's JSON of ``pregate validate``, and its tables."""

    def __init__(self, code: int, text: str, said: str) -> None:
        """Exit code, JSON, and what the program says of it."""
        self.failed = code != 0
        """A gate fails, or more than half of a tier's rows are undecidable."""
        self.report = said
        """The program's tables."""
        self._text = text
        self.data: dict[str, Any] = json.loads(text)

    def json(self) -> str:
        """The program's JSON, byte for byte."""
        return self._text

    def __repr__(self) -> str:
        """The verdict."""
        return f"<Validation: {'FAILED' if self.failed else 'holds'}>"


class Published(Validation):
    """Predicted against published figures, by case."""

    @property
    def rows(self) -> Table:
        """A row a figure: case, series, metric, subject, variant, role (calibrate or predict), gated, published, ...

        Errors are signed: error_percent of times and rates, error_points of shares, difference of counts. Fitted rows
        (role calibrate) say nothing of predictions: leave them out of any mean.
        """
        return Table([{"case": case["name"], **row} for case in self.data["cases"] for row in case["rows"]])

    @property
    def gates(self) -> Table:
        """A row a gate: case, series, metric, measure, limit, reason, value, rows, worst_row, verdict."""
        return Table([{"case": case["name"], **gate} for case in self.data["cases"] for gate in case["gates"]])

    @property
    def summaries(self) -> Table:
        """A row a series and metric: how many rows were predicted, their mean absolute error, bias and worst."""
        return Table([{"case": case["name"], **each} for case in self.data["cases"] for each in case["summaries"]])


class Ladder(Validation):
    """Predicted against measured on a device: from exact order to tokens per second."""

    @property
    def tiers(self) -> Table:
        """A row a tier: gate, figure, rows, undecidable, verdict."""
        return Table(self.data["tiers"])

    @property
    def rows(self) -> Table:
        """A row a figure: tier, what, metric, predicted, measured, error_percent, spread_percent, decidable."""
        return Table(self.data["rows"])

    @property
    def operations(self) -> Table:
        """A row a kind of operation: count, predicted_us, measured_us, error_percent."""
        return Table(self.data["operations"])


class Calibration:
    """A machine file that was written."""

    def __init__(self, path: Path, said: str) -> None:
        """`path` is for ``machine=``."""
        self.path = path
        self.report = said
        """Spreads, or what was fitted with errors left out one by one, as the program prints it."""
        self.settings: dict[str, Any] = tomllib.loads(path.read_text())
        """The file."""

    @property
    def rows(self) -> Table:
        """A row a number or text of the file: key as ``set={"machine." + key: ...}`` takes it, and value."""
        rows: list[dict[str, Any]] = []

        def walk(table: Mapping[str, Any], before: str) -> None:
            for name, value in table.items():
                if isinstance(value, Mapping):
                    walk(value, f"{before}{name}.")
                elif not isinstance(value, list):
                    rows.append({"key": before + name, "value": value})

        walk(self.settings, "")
        return Table(rows)

    def __repr__(self) -> str:
        """Where it is."""
        return f"<Calibration {self.path}>"


def calibrate(
    output: str | Path,
    *,
    rates: str | Path | None = None,
    set: Mapping[str, Setting] | None = None,
    **options: Any,
) -> Calibration:
    """Measures this machine into a machine file, or fits one to rates: ``pregate calibrate``.

    Args:
        output: the file to write, ending in .toml; as ``machine=`` it is used.
        rates: a table of measured rates (``--from``), with machine=, and as wanted host=, software=, constants=. None:
            this machine is measured, which takes `seconds` (120) and is not interrupted.
        set: overrides.
        options: by name: model, weights, dense_weights, seconds, max_tokens, accept_noise, device ('host' or 'cuda'),
            cpu_threads, compute_threads, ...

    Raises:
        InputError: bad input; or nothing was written, with the reason in `problem`: repeats differ too much, or the
            rates determine nothing.

    """
    arguments = _options({"output": output, "from": rates, "set": set, **options})
    code, said = _core.calibrate(arguments)
    if code != 0:
        raise InputError("calibrate", said.strip() or "no file was written")
    return Calibration(Path(output), said)


def validate_published(case: str | Path | None = None, *, data: str | Path | None = None) -> Published:
    """Holds the simulator against published measurements: ``pregate validate published``.

    Args:
        case: one case by name, or a .toml of one's own; None: all.
        data: folder of recorded traces; rows that need it are skipped where it is absent.

    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        code, said = _core.validate(["published", *_options({"case": case, "data": data, "json": out})])
        return Published(code, out.read_text(), said)


def validate_device(
    trace: AnyTrace | None = None, *, machine: str | Path, set: Mapping[str, Setting] | None = None, **options: Any
) -> Ladder:
    """Simulates and executes the same grid on this machine: ``pregate validate device``.

    Args:
        trace: as in `simulate`.
        machine: the file that `calibrate` wrote here.
        set: overrides.
        options: by name: device ('host' or 'cuda'), model, policy, caches, batches, steps, repeats, max_tokens, ...

    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "ladder.json"
        arguments = _options({"machine": machine, "set": set, **options, "json": out})
        code, said = _core.validate(["device", *_of_trace(trace, options), *arguments])
        return Ladder(code, out.read_text(), said)
