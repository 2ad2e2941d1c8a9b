# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""The notebook runs from its first cell to its last, and draws what it shows."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="SKIPPED: nbformat absent")
nbclient = pytest.importorskip("nbclient", reason="SKIPPED: nbclient absent")
pytest.importorskip("torch", reason="SKIPPED: torch absent")
pytest.importorskip("transformers", reason="SKIPPED: transformers absent")


def test_first_steps() -> None:
    """An exception in a cell fails it."""
    notebook = nbformat.read(Path(__file__).parents[1] / "first_steps.ipynb", 4)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
