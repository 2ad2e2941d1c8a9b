#!/usr/bin/env python3
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Fits what llama.cpp's kernels cost on GPUs of several kinds, on decode rates of models that are wholly on one GPU.

  fit_gpu_decode.py                print the fit and every row
  fit_gpu_decode.py SOFTWARE.toml  exit 1 if the description has other constants than these rows give

A token takes  step + kernels x cycles / clock + sum over parts of max(bytes / (bandwidth x efficiency),
weights / (multiprocessors x clock x unpacked)):  efficiency is the description's, and the number of kernels follows from its
counts and the layers of a model; unpacked, step, and cycles twice, for GPUs with HBM and for others, are fitted. The least a
launch takes where there are no graphs is that of the RTX 2080 (fit_dense_decode.py).

Whether a row is fitted goes by its GPU and not by its error: two with HBM (the 40 GB A100 and the H100), four with GDDR (RTX
3090, 4080, 5090, PRO 6000), and of models with experts only builds since b6900 (November 2025): by then ggml had fused the
router and the gated products of a token (pull requests 16130, 16649, 16715). No row of Qwen3.6-35B-A3B and Gemma 4 26B-A4B is
here: the case llamacpp-all-on-gpu holds the fit against them.
That HBM needs a constant of its own was seen on all rows, the predicted ones included; the constants were not. So was that
layers of a gated delta net launch more kernels: how many was counted in the source of the graph, never fitted.
A row is (GPU, model, tokens/s, source, build or time).
"""
import sys
import tomllib

from axis_search import least

# Bandwidth GB/s, multiprocessors, boost GHz, kind of memory, whether a pass was replayed as a graph: datasheets.
GPUS = {
    "V100 PCIe": (900, 80, 1.38, "hbm", False), "A100 40 GB": (1555, 108, 1.41, "hbm", True),
    "A100 80 GB": (2039, 108, 1.41, "hbm", True), "H100 SXM": (3350, 132, 1.98, "hbm", True),
    "H200 SXM": (4800, 132, 1.98, "hbm", True), "RTX 2080": (448, 46, 1.71, "gddr", False),
    "RTX 3060": (360, 28, 1.777, "gddr", True), "RTX 3080": (760, 68, 1.71, "gddr", True),
    "RTX 3090": (936, 82, 1.695, "gddr", True), "RTX 4080": (716.8, 76, 2.505, "gddr", True),
    "RTX 4090": (1008, 128, 2.52, "gddr", True), "RTX 5090": (1792, 170, 2.407, "gddr", True),
    "RTX PRO 6000": (1792, 188, 2.617, "gddr", True), "GB10": (273, 48, 2.52, "lpddr", True),
}
FITTED_GPUS = {"A100 40 GB", "H100 SXM", "RTX 3090", "RTX 4080", "RTX 5090", "RTX PRO 6000"}

# Kinds of layers: the mixer (a key of kernels.layers.mixers, or attention), what is added to it, and what follows.
DENSE, MOE = "dense", "moe"
PLAIN = [("attention", (), DENSE)]
NORMED = [("attention", ("qk_norm",), DENSE)]
HYBRID = [("delta", (), DENSE)] * 3 + [("attention", ("qk_norm", "output_gate"), DENSE)]
LFM = [("convolution", (), DENSE)] * 10 + [("attention", ("qk_norm",), DENSE)] * 6
GEMMA = [("attention", ("qk_norm", "post_norm", "post_norm"), DENSE)]
EXPERTS = [("attention", (), MOE)]
NORMED_EXPERTS = [("attention", ("qk_norm",), MOE)]

# Parts that a token reads: (weights in 1e9, bits each); layers, and their kinds, which repeat. From the models'
# configurations; bits of a file mix from the file's size. Input embeddings are not read, but where they are the head too.
MODELS = {
    "gpt-oss-20b": ([(0.637, 8.5), (0.579, 8.5), (2.389, 4.25)], 24, EXPERTS),
    "gpt-oss-20b, file of 11.6 GB": ([(0.637, 6.56), (0.579, 6.56), (2.389, 4.25)], 24, EXPERTS),
    "gpt-oss-120b": ([(0.955, 8.5), (0.579, 8.5), (3.583, 4.25)], 36, EXPERTS),
    "Qwen3-30B-A3B q4_k_m": ([(0.906, 4.85), (0.311, 6.56), (1.812, 4.85)], 48, NORMED_EXPERTS),
    "Qwen3-30B-A3B q8_0": ([(0.906, 8.5), (0.311, 8.5), (1.812, 8.5)], 48, NORMED_EXPERTS),
    "LFM2.5-1.2B q4_k_m": ([(1.17, 4.79)], 16, LFM),
    "Ministral-3-3B q4_k_m": ([(3.43, 4.85)], 26, PLAIN),
    "Qwen3-4B q4_k_m": ([(4.02, 4.95)], 36, NORMED),
    "Qwen3.5-4B q4_k_m": ([(4.2, 5.1)], 32, HYBRID),
    "Qwen3.5-9B q4_k_m": ([(7.95, 5.1)], 32, HYBRID),
    "Qwen3.6-27B q4_k_m": ([(25.6, 5.03)], 64, HYBRID),
    "Gemma 4 31B q4_k_m": ([(30.7, 4.77)], 60, GEMMA),
    "Mistral-7B q4_k_m": ([(7.12, 4.85)], 32, PLAIN),
    "Qwen2.5-32B q4_k_m": ([(31.98, 4.85)], 64, PLAIN),
    "Llama-2-7B q4_0": ([(6.61, 4.54)], 32, PLAIN),
    "Llama-3.3-70B q4_k_m": ([(69.5, 4.83)], 80, PLAIN),
    "Llama-3.1-8B q4_k_m": ([(7.5, 4.87)], 32, PLAIN),
    "Llama-3.1-8B q5_k_m": ([(7.5, 5.7)], 32, PLAIN),
    "Qwen2.5-14B q5_k_m": ([(14.0, 5.7)], 48, PLAIN),
    "Qwen2.5-7B q8_0": ([(7.07, 8.5)], 28, PLAIN),
}

KHMEL = "pavlokhmel.com, LLM throughput benchmark on 13 GPUs and 10 models"
SPARK = "ggml-org/llama.cpp benches/dgx-spark.md"
OLD = "before b6900"
# Of one table, a row a model: tokens/s on each of these GPUs; one that it does not fit has none.
KHMEL_GPUS = ["V100 PCIe", "A100 40 GB", "A100 80 GB", "RTX 4080", "RTX 4090", "H100 SXM", "H200 SXM"]
KHMEL_RATES = {
    "gpt-oss-20b, file of 11.6 GB": [138, 180, 189, 210, 266, 286, 292],
    "LFM2.5-1.2B q4_k_m": [388, 485, 524, 614, 741, 764, 796],
    "Ministral-3-3B q4_k_m": [151, 184, 211, 210, 271, 305, 312],
    "Qwen3.5-4B q4_k_m": [113, 145, 154, 164, 206, 234, 241],
    "Qwen3.5-9B q4_k_m": [85, 113, 123, 105, 137, 190, 197],
    "Qwen3.6-27B q4_k_m": [31, 41, 46, None, 47, 74, 76],
    "Gemma 4 31B q4_k_m": [28, 37, 43, None, 35, 68, 71],
}
ROWS = [(gpu, model, rate, KHMEL, "June 2026") for model, rates in KHMEL_RATES.items()
        for gpu, rate in zip(KHMEL_GPUS, rates) if rate is not None]
ROWS += [
    ("RTX 3090", "gpt-oss-20b", 237.49, "ggml-org/llama.cpp pull request 20586, micro-batch 1", "March 2026"),
    ("RTX 4090", "gpt-oss-20b", 243.19, "a report on GB10 and RTX 4090, llama-server, UD-Q4_K_XL", "February 2026"),
    ("RTX 5090", "Qwen3-30B-A3B q4_k_m", 352.06, "ggml-org/llama.cpp discussion 17621", "November 2025"),
    ("RTX 5090", "Qwen3-30B-A3B q4_k_m", 365.82, "ggml-org/llama.cpp pull request 26767, before it", "August 2026"),
    ("RTX 5090", "Qwen3-4B q4_k_m", 373.02, "ggml-org/llama.cpp pull request 26767, before it", "August 2026"),
    ("RTX 3090", "Qwen3.6-27B q4_k_m", 41.27, "insiderllm.com, Gemma 4 26B-A4B against Qwen 3.6 27B", "b9079"),
    ("RTX 4090", "Qwen3-30B-A3B q4_k_m", 261.5, "sylvanus4/ktransformers-moe-offload-bench", ""),
    ("GB10", "gpt-oss-20b", 84.1, SPARK, "b6918"),
    ("GB10", "gpt-oss-120b", 59.02, SPARK, "b6918"),
    ("GB10", "Qwen3-30B-A3B q8_0", 60.92, SPARK, "b6918"),
    ("GB10", "Qwen2.5-7B q8_0", 29.3, SPARK, "b6918"),
    ("RTX 3090", "Mistral-7B q4_k_m", 150.65, "llama-bench notes in a public repository", "b4006"),
    ("RTX 3090", "Qwen2.5-32B q4_k_m", 37.71, "llama-bench notes in a public repository", "b4400"),
    ("RTX 4090", "Mistral-7B q4_k_m", 172.31, "llama-bench notes in a public repository", "b4006"),
    ("RTX PRO 6000", "Llama-2-7B q4_0", 278.95, "llama-bench notes in a public repository", "b6413"),
    ("RTX PRO 6000", "Llama-3.3-70B q4_k_m", 34.05, "llama-bench notes in a public repository", "b6413"),
    ("RTX 3080", "Llama-3.1-8B q4_k_m", 111.95, "dmatora/LLM-inference-speed-benchmarks issue 12", "b3622"),
    ("RTX 3060", "Llama-3.1-8B q5_k_m", 53.01, "a guide to building llama.cpp, llama-bench tg512", ""),
    ("RTX 3060", "Qwen2.5-14B q5_k_m", 28.88, "a guide to building llama.cpp, llama-bench tg512", ""),
    ("RTX 2080", "Llama-3.1-8B q4_k_m", 71.87, "AlexsJones/llmfit pull request 773", "July 2026"),
    ("RTX PRO 6000", "Qwen3-30B-A3B q4_k_m", 251.04, "llama-bench notes in a public repository, b6413", OLD),
    ("RTX PRO 6000", "gpt-oss-120b", 193.3, "llama-bench notes in a public repository, b6413", OLD),
    ("RTX 4090", "gpt-oss-20b", 173.33, "ggml-org/llama.cpp pull request 16649", OLD),
]
LIMIT = 12  # per cent, mean of absolute errors of rows that are not fitted: written before the fit


def is_fitted(row):
    return row[0] in FITTED_GPUS and row[4] != OLD


class Software:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.tree = tomllib.load(file)
        self.efficiency = self.tree["efficiency"]["memory"]
        self.eager = micro(self.tree["launch"]["eager"])

    def kernels(self, kind):
        mixer, added, follows = kind
        counts = self.tree["kernels"]
        mixers = {"attention": counts["attention"], **counts["layers"]["mixers"]}
        rest = counts["dense_layer"] - counts["attention"] if follows == DENSE else counts["gate"] + counts["experts"]
        return mixers[mixer] + sum(counts["layers"]["added"][each] for each in added) + rest

    def kernels_of(self, layers, kinds):
        return sum(self.kernels(kinds[i % len(kinds)]) for i in range(layers))


def micro(text):
    number, unit = text.split()
    return float(number) * {"us": 1e-6, "ms": 1e-3}[unit]


def rate(software, constants, gpu, model):
    step, unpacked, cycles, hbm_cycles = constants
    bandwidth, multiprocessors, clock, memory, replayed = GPUS[gpu]
    parts, layers, kinds = MODELS[model]
    read = sum(max(weights * bits / 8 / (bandwidth * software.efficiency), weights / (multiprocessors * clock * unpacked))
               for weights, bits in parts)
    kernel = (hbm_cycles if memory == "hbm" else cycles) / (clock * 1e9)
    if not replayed:
        kernel = max(kernel, software.eager)
    return 1 / (step + software.kernels_of(layers, kinds) * kernel + read)


def fit(software, rows):
    """Least squares of relative errors by a search along the axes, whose steps halve when none helps."""
    def loss(constants):
        return sum((rate(software, constants, gpu, model) / measured - 1) ** 2 for gpu, model, measured, *_ in rows)

    return least(loss, [200e-6, 10, 2000, 4000], [50e-6, 1, 500, 500], 1e-4)


def main():
    path = sys.argv[1] if len(sys.argv) == 2 else "models/catalog/software/llama-cpp.toml"
    software = Software(path)
    fitted = [row for row in ROWS if is_fitted(row)]
    constants = fit(software, fitted)
    said = [micro(software.tree["host"]["step"]), software.tree["efficiency"]["unpacked"],
            software.tree["launch"]["cycles"], software.tree["launch"]["hbm_cycles"]]
    names = ["host.step, s", "efficiency.unpacked", "launch.cycles", "launch.hbm_cycles"]
    print(", ".join(f"{name} {value:.4g} (described: {stated:g})" for name, value, stated in zip(names, constants, said)))
    errors = []
    for row in ROWS:
        gpu, model, measured, source, when = row
        error = 100 * (rate(software, said, gpu, model) / measured - 1)
        kind = "fitted" if is_fitted(row) else "older build" if when == OLD else "predicted"
        if kind == "predicted":
            errors.append(abs(error))
        print(f"  {kind:12}{gpu:14}{model:30}{measured:8.1f} tokens/s {error:+6.1f} %   {when}; {source}")
    mean = sum(errors) / len(errors)
    print(f"{len(errors)} rows that are not fitted, with the constants as described: mean of absolute errors {mean:.1f} % "
          f"(limit {LIMIT} %), worst {max(errors):.1f} %")
    # Constants that rise together cost the rows little: each may be 15 % from the best, the whole 2 % worse.
    wrong = [name for name, value, stated in zip(names, constants, said) if abs(stated / value - 1) > 0.15]
    for name in wrong:
        print(f"error: {path}: {name} is not what these rows give", file=sys.stderr)
    return int(bool(wrong) or mean > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
