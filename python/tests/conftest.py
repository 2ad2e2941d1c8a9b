# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""What tests share: the program beside which the package is held, and a small trace."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import pregate as pg

Run = Callable[..., str]


@pytest.fixture(scope="session")
def program() -> Run:
    """Runs the program; its standard output."""
    path = os.environ.get("PREGATE_PROGRAM") or shutil.which("pregate")
    if path is None:
        pytest.skip("SKIPPED: no program: set PREGATE_PROGRAM")

    def run(*words: str) -> str:
        return subprocess.run([path, *words], check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture(scope="session")
def trace(tmp_path_factory: pytest.TempPathFactory) -> pg.Trace:
    """OLMoE's shape, two requests."""
    generated = pg.generate(model="olmoe-1b-7b", requests=2, prompt=24, output=40, seed=3)
    return generated.save(tmp_path_factory.mktemp("traces") / "t.db")


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded traces."""
    folder = Path(os.environ.get("PREGATE_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("SKIPPED: recorded data absent")
    return folder
