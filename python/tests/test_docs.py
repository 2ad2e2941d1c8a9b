# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages show runs as it stands there."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

import pregate as pg

DOCS = Path(__file__).parents[2] / "docs"
NEEDS = {"numba": "numba", "pg.record.transformers": "torch", "to_pandas": "pandas"}


def snippets(page: str) -> list[tuple[int, str]]:
    """The Python of a page, with the line where each begins."""
    text = (DOCS / page).read_text()
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: each.start()].count("\n") + 2, each.group(1)) for each in found]


def test_there_are_snippets() -> None:
    """So that the next test is of something."""
    assert len(snippets("python.md")) >= 8 and len(snippets("compare-fairly.md")) >= 1


@pytest.mark.parametrize("page", ["python.md", "compare-fairly.md"])
def test_snippets_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, as a reader types them in; those that need what is absent are left out, and said."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "a_reader"}
    if page == "compare-fairly.md":  # it is about traces and an eviction that the reader has
        pg.eviction("mine")(type("Mine", (), {"victim": lambda self, layer, candidates: candidates[0]}))
        names["traces"] = [pg.generate(model="qwen3-30b-a3b", prompt=16, output=8, seed=seed) for seed in (1, 2)]
    left_out: list[str] = []
    for line, text in snippets(page):
        said = re.sub(r"#.*", "", text)
        missing = [need for word, need in NEEDS.items() if word in said and not is_there(need)]
        if missing:
            left_out.append(f"line {line}: {missing[0]} absent")
            continue
        if "pg.record.transformers" in text:
            names.update(tiny_model())
        code = "\n" * (line - 1) + text
        exec(compile(code, str(DOCS / page), "exec"), names)
    if left_out and os.environ.get("PREGATE_TORCH") == "yes":
        pytest.fail("; ".join(left_out))
    if left_out:
        print("SKIPPED of", page, left_out)


def is_there(module: str) -> bool:
    """Whether it can be imported."""
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def tiny_model() -> dict[str, Any]:
    """A model and something that makes ids of words, as the page has them."""
    torch = pytest.importorskip("torch")
    hf = pytest.importorskip("transformers")
    config = hf.Qwen3MoeConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        num_experts=8,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        max_position_embeddings=128,
    )
    torch.manual_seed(1)
    model = hf.Qwen3MoeForCausalLM(config)
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return {"model": model, "tokenizer": lambda text, return_tensors: {"input_ids": torch.tensor([[5, 9, 2, 7]])}}
