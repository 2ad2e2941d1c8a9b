# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""What the recorder writes is what the model's routers chose, as transformers itself returns it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pregate as pg
from pregate.traces import NO_EXPERT

torch = pytest.importorskip("torch", reason="SKIPPED: torch absent")
hf = pytest.importorskip("transformers", reason="SKIPPED: transformers absent")

SMALL: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("Mixtral", {"num_local_experts": 8, "num_experts_per_tok": 2}),
    "qwen2-moe": (
        "Qwen2Moe",
        {
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
    "qwen3-moe": ("Qwen3Moe", {"num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 16, "head_dim": 8}),
    "olmoe": ("Olmoe", {"num_experts": 8, "num_experts_per_tok": 2}),
    "phimoe": ("Phimoe", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "gpt-oss": ("GptOss", {"num_local_experts": 8, "num_experts_per_tok": 2, "head_dim": 8}),
    "minimax": ("MiniMax", {"num_local_experts": 8, "num_experts_per_tok": 2, "head_dim": 8}),
    "jamba": (
        "Jamba",
        {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "attn_layer_period": 1,
            "attn_layer_offset": 0,
            "expert_layer_period": 1,
            "expert_layer_offset": 0,
            "use_mamba_kernels": False,
        },
    ),
    "granitemoe": ("GraniteMoe", {"num_local_experts": 8, "num_experts_per_tok": 2}),
    "flex-olmo": ("FlexOlmo", {"num_experts": 8, "num_experts_per_tok": 2}),
}

WEIGHS_OTHERWISE = {"phimoe"}
"""Weighs each choice against those near it alone, so that no softmax of the logits gives its weights."""

WITHOUT_LOGITS: dict[str, tuple[str, dict[str, Any]]] = {
    "deepseek-v3": (
        "DeepseekV3",
        {
            "n_routed_experts": 8,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "first_k_dense_replace": 1,
            "n_group": 2,
            "topk_group": 1,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
            "num_key_value_heads": 4,
        },
    ),
    "glm4-moe": (
        "Glm4Moe",
        {
            "n_routed_experts": 8,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "first_k_dense_replace": 1,
            "n_group": 2,
            "topk_group": 1,
            "head_dim": 8,
        },
    ),
}


ALL = FAMILIES | WITHOUT_LOGITS


def tiny(name: str, settings: dict[str, Any]) -> Any:
    """A model of random weights."""
    if not hasattr(hf, f"{name}ForCausalLM"):
        pytest.skip(f"SKIPPED: this transformers has no {name}")
    torch.manual_seed(7)
    config = getattr(hf, f"{name}Config")(**{**SMALL, **settings})
    return getattr(hf, f"{name}ForCausalLM")(config).eval()


def inputs(batch: int) -> dict[str, Any]:
    """One prompt, or three of unequal length padded on the left."""
    torch.manual_seed(11)
    ids = torch.randint(2, 97, (batch, 7))
    mask = torch.ones_like(ids)
    for row in range(1, batch):
        ids[row, :row] = 0
        mask[row, :row] = 0
    return {"input_ids": ids, "attention_mask": mask}


def expected(model: Any, output: Any, top_k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """By layer, ids and softmax weights of the highest logits that the model itself returns."""
    layers = []
    for logits in output.router_logits:
        weights, ids = torch.softmax(logits.float(), dim=-1).topk(top_k, dim=-1)
        layers.append((ids.numpy().astype(np.uint16), weights.detach().numpy()))
    return layers


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_chosen_are_those_of_the_logits(family: str, batch: int, tmp_path: Path) -> None:
    """A prompt: ids as sets a token, exactly; padding is left out."""
    name, settings = FAMILIES[family]
    model = tiny(name, settings)
    given = inputs(batch)
    with torch.no_grad(), pg.record.transformers(model, tmp_path / "t.db") as recorder:
        output = model(**given, output_router_logits=True)
    trace = pg.load_trace(tmp_path / "t.db")
    assert trace.check() == []
    kept = given["attention_mask"].numpy().astype(bool).reshape(-1)
    top_k = settings["num_experts_per_tok"]
    assert trace.layers == len(output.router_logits) == 3
    for layer, (ids, weights) in enumerate(expected(model, output, top_k)):
        read = trace.routing(layer)
        assert read.weights is not None
        np.testing.assert_array_equal(np.sort(read.ids, axis=1), np.sort(ids[kept], axis=1))
        if family in WEIGHS_OTHERWISE:
            continue
        own = np.take_along_axis(read.weights, np.argsort(read.ids, axis=1), axis=1)
        logits = np.take_along_axis(weights[kept], np.argsort(ids[kept], axis=1), axis=1)
        # Some models scale the chosen weights to a sum of one; their proportions are those of the softmax.
        np.testing.assert_allclose(own / own.sum(1, keepdims=True), logits / logits.sum(1, keepdims=True), atol=1e-6)
    assert not recorder._handles


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", ALL)
def test_generation_with_cache(family: str, batch: int, tmp_path: Path) -> None:
    """A prompt, then steps of one token a sequence, in their order and at their positions."""
    name, settings = ALL[family]
    model = tiny(name, settings)
    given = inputs(batch)
    plain = model.generate(**given, max_new_tokens=5, do_sample=False)
    with pg.record.transformers(model, tmp_path / "t.db"):
        recorded = model.generate(**given, max_new_tokens=5, do_sample=False)
    assert torch.equal(plain, recorded)
    trace = pg.load_trace(tmp_path / "t.db")
    assert trace.info["requests"] == 1
    assert trace.info["steps"] == 5  # the prompt, and four of the five tokens go through the model again
    assert len(trace.routing(0, "prefill").ids) == int(given["attention_mask"].sum())
    assert len(trace.routing(0, "decode").ids) == 4 * batch


def router_inputs(model: Any, given: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """The routers of a model in order, and what each was given in one pass."""
    routers, seen, handles = [], [], []
    for name, module in model.named_modules():
        if name.endswith((".gate", ".router")):
            routers.append(module)
            handles.append(module.register_forward_pre_hook(lambda _, args: seen.append(args[0])))
    with torch.no_grad():
        model(**given)
    for handle in handles:
        handle.remove()
    return routers, seen


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", ["mixtral", "qwen3-moe", "gpt-oss", "olmoe"])
def test_gate_reuse(family: str, batch: int, tmp_path: Path) -> None:
    """Predictions are the highest logits of a later router of this one's input, by its weights; the rest is as ever."""
    name, settings = FAMILIES[family]
    model = tiny(name, settings)
    top_k = settings["num_experts_per_tok"]
    given = inputs(batch)
    routers, seen = router_inputs(model, given)
    with torch.no_grad():
        plain = model(**given).logits
        with pg.record.transformers(model, tmp_path / "p.db"):
            model(**given)
        with pg.record.transformers(model, tmp_path / "t.db", gate_reuse=2):
            recorded = model(**given).logits
    assert torch.equal(plain, recorded)
    trace, without = pg.load_trace(tmp_path / "t.db"), pg.load_trace(tmp_path / "p.db")
    assert trace.check() == []
    assert trace.info["prediction_distances"] == [1, 2] and trace.info["predicted_by"] == "gate-reuse"
    assert without.info["prediction_distances"] == []
    kept = given["attention_mask"].numpy().astype(bool).reshape(-1)
    for layer in range(3):
        np.testing.assert_array_equal(trace.routing(layer).ids, without.routing(layer).ids)
        for distance in (1, 2):
            ids = trace.predictions(layer, distance).ids
            if layer < distance:
                assert (ids == NO_EXPERT).all()
                continue
            router = routers[layer]
            bias = getattr(router, "bias", None)
            hidden = seen[layer - distance].reshape(len(kept), -1)
            logits = torch.nn.functional.linear(hidden, router.weight, bias).float().detach()
            expected_ids = logits.topk(top_k, dim=-1).indices.numpy()
            np.testing.assert_array_equal(np.sort(ids, axis=1), np.sort(expected_ids[kept], axis=1))
    with pytest.raises(pg.InputError, match="no.* 3 MoE layers ahead|nothing 3"):
        trace.predictions(0, 3)


def test_simulated_gate_reuse_is_the_recorded(tmp_path: Path) -> None:
    """Its recall is that of the arrays; a given one changes nothing; distances that are not there are refused."""
    model = tiny(*FAMILIES["olmoe"])
    with pg.record.transformers(model, tmp_path / "t.db", gate_reuse=2):
        model.generate(**inputs(1), max_new_tokens=24, do_sample=False)
    trace = pg.load_trace(tmp_path / "t.db")
    shape: dict[str, Any] = {
        "model": "olmoe-1b-7b",
        "machine": "rtx3090-pcie4",
        "policy": pg.policy("on-demand-cache", cache="25%", predictor="gate-reuse"),
    }
    sizes = {"model.decoder.layers": 3, "model.decoder.moe.experts": 8, "model.decoder.moe.top_k": 2}
    shape["set"] = sizes
    try:
        result = pg.simulate(trace, **shape)
    except pg.InputError as error:
        pytest.fail(f"{error.where} {error.problem} {error.hint}")
    right = activated = 0
    for layer in (1, 2):
        chosen, guessed = trace.routing(layer, "decode").ids, trace.predictions(layer, 1, "decode").ids
        right += sum(len(set(a) & set(b)) for a, b in zip(chosen.tolist(), guessed.tolist(), strict=True))
        activated += chosen.size
    assert result["lookahead.recall"] == pytest.approx(right / activated, abs=1e-12)
    assert 0 < right < activated
    given = pg.simulate(trace, **(shape | {"set": sizes | {"policy.lookahead.recall": 0.2}}))
    assert dict(given.metrics) == dict(result.metrics)
    with pytest.raises(pg.InputError, match="predicts 1, 2 MoE layers ahead, the policy looks 3"):
        pg.simulate(trace, **(shape | {"set": sizes | {"policy.lookahead.distance": 3}}))


def test_a_trace_of_it_is_simulated(tmp_path: Path) -> None:
    """Two prompts are two requests."""
    model = tiny(*FAMILIES["olmoe"])
    with pg.record.transformers(model, tmp_path / "t.db"):
        for _ in range(2):
            model.generate(**inputs(1), max_new_tokens=3, do_sample=False)
    trace = pg.load_trace(tmp_path / "t.db")
    assert trace.info["requests"] == 2
    assert pg.replay(trace, cache="50%").accesses > 0


def test_weights_are_what_the_router_returned(tmp_path: Path) -> None:
    """Of the one that weighs otherwise, to the last bit."""
    model = tiny(*FAMILIES["phimoe"])
    returned: list[np.ndarray] = []
    router = next(module for name, module in model.named_modules() if name.endswith("layers.1.mlp.router"))
    handle = router.register_forward_hook(
        lambda module, args, output: returned.extend(
            each.detach().numpy() for each in output if each.is_floating_point() and each.shape[-1] == 2
        )
    )
    with torch.no_grad(), pg.record.transformers(model, tmp_path / "t.db"):
        model(**inputs(1))
    handle.remove()
    assert len(returned) == 1
    np.testing.assert_array_equal(pg.load_trace(tmp_path / "t.db").routing(1).weights, returned[0].reshape(-1, 2))


def test_what_cannot_be_recorded(tmp_path: Path) -> None:
    """A model without experts, and a recording of nothing, are refused; the model is as it was."""
    config = hf.LlamaConfig(**SMALL)
    with pytest.raises(pg.InputError, match="no MoE layer"), pg.record.transformers(hf.LlamaForCausalLM(config)):
        pass
    model = tiny(*FAMILIES["olmoe"])
    with pytest.raises(pg.InputError, match="no pass was run"), pg.record.transformers(model, tmp_path / "t.db"):
        pass
    assert not list(tmp_path.iterdir())
    assert not model._forward_hooks
