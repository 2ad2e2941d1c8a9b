# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""What `pregate calibrate` and `pregate validate` say, as frames."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import pregate as pg

CASES = ["cache-replay-olmoe", "copies-pcie3"]


@pytest.mark.parametrize("case", CASES)
def test_published_is_the_programs(case: str, recorded: Path, tmp_path: Path) -> None:
    """Every byte, and the verdict, whatever it is; and a row of the frame a figure."""
    program = os.environ.get("PREGATE_PROGRAM") or shutil.which("pregate")
    if program is None:
        pytest.skip("SKIPPED: no program: set PREGATE_PROGRAM")
    published = pg.validate_published(case, data=recorded)
    out = tmp_path / "rows.json"
    words = [program, "validate", "published", case, "--data", str(recorded), "--json", str(out)]
    ended = subprocess.run(words, check=False, capture_output=True, text=True)
    assert published.json() == out.read_text()
    assert published.failed == (ended.returncode == 1) and published.report == ended.stdout
    frame = published.rows.to_pandas()
    assert len(frame) == len(json.loads(out.read_text())["cases"][0]["rows"]) == len(published.rows)
    assert {"case", "series", "metric", "role", "published", "predicted"} <= set(frame.columns)
    assert set(frame["role"]) <= {"calibrate", "predict"}
    assert set(published.gates.to_pandas()["verdict"]) <= {"pass", "FAIL", "not run"}
    assert len(published.summaries) > 0


def test_what_is_no_case(tmp_path: Path) -> None:
    """Is refused as the program refuses it."""
    with pytest.raises(pg.InputError, match="no-such"):
        pg.validate_published("no-such-case")
    with pytest.raises(pg.InputError, match="is not a folder"):
        pg.validate_published(CASES[0], data=tmp_path / "none")


def test_calibrated_from_rates(tmp_path: Path) -> None:
    """Rates of a machine with a slower link give that link; what was predicted by it is then measured."""
    truth = {"machine.link.h2d.bandwidth": "9GB/s"}
    lines = ["model,prompt,output,policy,cache,metric,value,note"]
    for cache in ("10%", "25%", "50%"):
        rate = pg.simulate(
            pg.generate(model="olmoe-1b-7b", prompt=16, output=16),
            machine="rtx3090-pcie4",
            policy="on-demand-cache",
            cache=cache,
            set=truth,
        )["decode_tokens_per_s"]
        lines.append(f"olmoe-1b-7b,16,16,on-demand-cache,{cache},decode_tokens_per_s,{rate!r},")
    rates = tmp_path / "rates.csv"
    rates.write_text("\n".join(lines) + "\n")
    made = pg.calibrate(tmp_path / "m.toml", rates=rates, machine="rtx3090-pcie4", constants="link")
    assert made.path.is_file() and "link" in made.report
    frame = made.rows.to_pandas().set_index("key")
    assert "link.h2d.bandwidth" in frame.index
    assert pg.simulate(
        pg.generate(model="olmoe-1b-7b", prompt=16, output=16),
        machine=str(made.path),
        policy="on-demand-cache",
        cache="25%",
    )["decode_tokens_per_s"] == pytest.approx(float(lines[2].split(",")[-2]), rel=0.01)


def test_this_machine(tmp_path: Path) -> None:
    """Measured in seconds, then held against itself: tables have their rows, whatever the verdict."""
    model = str(Path(__file__).with_name("small.toml"))
    try:
        made = pg.calibrate(
            tmp_path / "here.toml", model=model, device="host", seconds=3, max_tokens=4, accept_noise=True
        )
    except pg.InputError as error:
        pytest.skip(f"SKIPPED: this machine cannot be measured: {error}")
    assert "median spread" in made.report
    generated = pg.generate(model=model, prompt=8, output=6)
    ladder = pg.validate_device(
        generated,
        machine=made.path,
        device="host",
        policy="on-demand",
        steps=4,
        repeats=2,
        max_tokens=4,
    )
    assert set(ladder.tiers.to_pandas().columns) >= {"tier", "gate", "rows", "verdict"}
    assert len(ladder.rows) > 0 and len(ladder.operations) > 0
    assert json.loads(ladder.json())["failed"] in (True, False)
