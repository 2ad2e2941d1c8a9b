# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""What the recorder writes of encoders and decoders, and of experts with room for so many tokens."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pregate as pg
from pregate.traces import NO_EXPERT

torch = pytest.importorskip("torch", reason="SKIPPED: torch absent")
hf = pytest.importorskip("transformers", reason="SKIPPED: transformers absent")

SEQ2SEQ: dict[str, tuple[str, dict[str, Any]]] = {
    "switch": (
        "SwitchTransformers",
        {
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 4,
            "num_decoder_layers": 4,
            "num_heads": 4,
            "num_sparse_encoder_layers": 2,
            "num_sparse_decoder_layers": 2,
        },
    ),
    "nllb-moe": (
        "NllbMoe",
        {
            "d_model": 32,
            "encoder_layers": 4,
            "decoder_layers": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_sparse_step": 2,
            "decoder_sparse_step": 2,
            "moe_eval_capacity_token_fraction": -1.0,
            "max_position_embeddings": 64,
        },
    ),
}


def tiny_seq2seq(family: str, capacity: int) -> Any:
    """A model of random weights whose experts take so many tokens."""
    name, settings = SEQ2SEQ[family]
    torch.manual_seed(7)
    config = getattr(hf, f"{name}Config")(
        vocab_size=97,
        num_experts=8,
        expert_capacity=capacity,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=2,
        **settings,
    )
    return getattr(hf, f"{name}ForConditionalGeneration")(config).eval()


def text(batch: int) -> dict[str, Any]:
    """Of an encoder: padded on the right."""
    torch.manual_seed(11)
    ids = torch.randint(3, 97, (batch, 9))
    mask = torch.ones_like(ids)
    for row in range(1, batch):
        ids[row, -row:] = 0
        mask[row, -row:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def switch_choice(logits: Any, capacity: int) -> np.ndarray:
    """[tokens, 1]: of each sequence an expert's first `capacity` tokens are let in (2101.03961)."""
    best = logits.argmax(-1).numpy()
    ids = np.full((*best.shape, 1), NO_EXPERT, dtype=np.uint16)
    for row, experts in enumerate(best):
        let_in: Counter[int] = Counter()
        for token, expert in enumerate(experts):
            let_in[expert] += 1
            if let_in[expert] <= capacity:
                ids[row, token, 0] = expert
    return ids.reshape(-1, 1)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("capacity", [64, 1])
def test_switch(batch: int, capacity: int, tmp_path: Path) -> None:
    """Ids are those of the logits, exactly; whoever finds no room has none; the weight is the softmax's."""
    model = tiny_seq2seq("switch", capacity)
    given = text(batch) | {"decoder_input_ids": torch.randint(3, 97, (batch, 4))}
    with torch.no_grad(), pg.record.transformers(model, tmp_path / "t.db"):
        output = model(**given, output_router_logits=True)
    trace = pg.load_trace(tmp_path / "t.db")
    assert trace.check() == [] and trace.info["stacks"] == ["encoder", "decoder"]
    assert [(each["stack"], each["layer"]) for each in trace.info["layers"]] == [
        ("encoder", 1),
        ("encoder", 3),
        ("decoder", 1),
        ("decoder", 3),
    ]
    kept = given["attention_mask"].numpy().astype(bool).reshape(-1)
    all_logits = [*output.encoder_router_logits, *output.decoder_router_logits]
    dropped = 0
    for layer, logits in enumerate(all_logits):
        those = kept if layer < 2 else np.ones(batch * 4, dtype=bool)
        read = trace.routing(layer)
        ids = switch_choice(logits, capacity)[those]
        np.testing.assert_array_equal(read.ids, ids)
        weights = torch.softmax(logits.float(), -1).max(-1).values.detach().reshape(-1, 1).numpy()[those]
        assert read.weights is not None
        np.testing.assert_allclose(read.weights, np.where(ids == NO_EXPERT, 0, weights), atol=1e-6)
        dropped += int((ids == NO_EXPERT).sum())
    assert (dropped > 0) == (capacity == 1)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("capacity", [64, 1])
def test_nllb(batch: int, capacity: int, tmp_path: Path) -> None:
    """Both experts of a token are the highest two of the logits, those that find room."""
    model = tiny_seq2seq("nllb-moe", capacity)
    given = text(batch) | {"decoder_input_ids": torch.randint(3, 97, (batch, 4))}
    with torch.no_grad(), pg.record.transformers(model, tmp_path / "t.db"):
        output = model(**given, output_router_logits=True)
    trace = pg.load_trace(tmp_path / "t.db")
    assert trace.check() == []
    kept = given["attention_mask"].numpy().astype(bool).reshape(-1)
    dropped = 0
    for layer, logits in enumerate([*output.encoder_router_logits, *output.decoder_router_logits]):
        those = kept if layer < 2 else np.ones(batch * 4, dtype=bool)
        best = logits.reshape(-1, 8).topk(2, dim=-1).indices.numpy()[those]
        ids = trace.routing(layer).ids
        if capacity == 64:
            np.testing.assert_array_equal(np.sort(ids, axis=1), np.sort(best, axis=1))
        assert all(set(a) - {NO_EXPERT} <= set(b) for a, b in zip(ids.tolist(), best.tolist(), strict=True))
        dropped += int((ids == NO_EXPERT).sum())
    assert (dropped > 0) == (capacity == 1)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", SEQ2SEQ)
def test_seq2seq_generation(family: str, batch: int, tmp_path: Path) -> None:
    """The encoder's pass, then decode steps with the cache; the next prompt is the next request."""
    model = tiny_seq2seq(family, 64)
    given = text(batch)
    asked = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
    plain = model.generate(**given, **asked)
    with pg.record.transformers(model, tmp_path / "t.db", gate_reuse=1):
        recorded = model.generate(**given, **asked)
        model.generate(**given, **asked)
    assert torch.equal(plain, recorded)
    trace = pg.load_trace(tmp_path / "t.db")
    assert trace.check() == []
    assert trace.info["requests"] == 2 and trace.info["steps"] == 2 * 6
    assert len(trace.routing(0, "encoder").ids) == 2 * int(given["attention_mask"].sum())
    assert len(trace.routing(2, "decode").ids) == 2 * 5 * batch
    assert (trace.predictions(3, 1, "decode").ids != NO_EXPERT).all()
    assert pg.replay(trace, cache="50%").accesses > 0
