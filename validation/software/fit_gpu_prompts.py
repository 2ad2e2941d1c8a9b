#!/usr/bin/env python3
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Fits what GPUs' power and fp32 units leave of llama.cpp's tiles, on prompts of one dense model on many GPUs.

  fit_gpu_prompts.py                print the fit and every row
  fit_gpu_prompts.py SOFTWARE.toml  exit 1 if the description has other watts than these rows give

A prompt of 512 tokens (one pass) takes  step + kernels x cycles / clock + numbers between products + tiles:  tiles of 128
tokens, each weight unpacked once a tile and multiplied with each of its tokens,
  4 x weights x (1 / unpacked + 2 x 128 / flop) / (multiprocessors x tile clock),
where flop is that of a multiprocessor with 128 fp32 units and half with 64, and
  tile clock = clock x min(1, (power / (multiprocessors x clock x watts)) ** exponent).
Fitted are flop, the exponent, and watts for each architecture; none for GPUs with HBM, of which two A100 of 300 and 400 W
take the same. The flop of models with experts is another one (validation case llamacpp-prompt-tiles): theirs fill tiles less.

Rows are Llama 2 7B in Q4_0, llama-bench pp512 with flash attention, of the CUDA scoreboard (ggml-org/llama.cpp discussion
15013), and one card at eight power limits (an owner's notes, b6413). Whether a row is fitted goes by its GPU and not by its
error: one or two of each architecture, and that card.
"""
import sys
import tomllib

from axis_search import least

# Bandwidth GB/s, multiprocessors, boost GHz, fp32 units a multiprocessor, architecture (hbm: no watts), W: datasheets.
GPUS = {
    "RTX 2080 Ti": (616, 68, 1.545, 64, "turing", 250), "RTX 3060": (360, 28, 1.777, 128, "ampere", 170),
    "RTX 3080": (760, 68, 1.71, 128, "ampere", 320), "RTX 3090": (936, 82, 1.695, 128, "ampere", 350),
    "RTX A6000": (768, 84, 1.80, 128, "ampere", 300), "RTX 4060 Ti": (288, 34, 2.535, 128, "ada", 160),
    "RTX 4070 Ti SUPER": (672, 66, 2.61, 128, "ada", 285), "RTX 4080": (716.8, 76, 2.505, 128, "ada", 320),
    "RTX 4090": (1008, 128, 2.52, 128, "ada", 450), "RTX 2000E Ada": (224, 22, 1.56, 128, "ada", 50),
    "RTX 5070 Ti": (896, 70, 2.452, 128, "blackwell", 300), "RTX 5080": (960, 84, 2.617, 128, "blackwell", 360),
    "RTX 5090": (1792, 170, 2.407, 128, "blackwell", 575), "RTX PRO 4500": (896, 82, 2.617, 128, "blackwell", 200),
    "A100 80 GB": (2039, 108, 1.41, 64, "hbm", 400), "H100 SXM": (3350, 132, 1.98, 128, "hbm", 700),
}
FITTED = {"RTX 2080 Ti", "RTX 3090", "RTX A6000", "RTX 4060 Ti", "RTX 4090", "RTX 5090", "A100 80 GB"}
BOARD = "RTX PRO 6000"
SCOREBOARD = {
    "RTX 2080 Ti": 3108, "RTX 3060": 2407.67, "RTX 3080": 5570, "RTX 3090": 5560.06, "RTX A6000": 5662.39,
    "RTX 4060 Ti": 3803, "RTX 4070 Ti SUPER": 7612, "RTX 4080": 9206, "RTX 4090": 14770.63, "RTX 2000E Ada": 2250,
    "RTX 5070 Ti": 8419.56, "RTX 5080": 9487.7, "RTX 5090": 14970.15, "RTX PRO 4500": 7251.66,
    "A100 80 GB": 5285.96, "H100 SXM": 11263.29,
}
BY_POWER = {600: 16634.04, 500: 16496.11, 450: 16060.49, 400: 15225.27, 350: 14118.89, 300: 12802.05, 250: 10619.58,
            200: 9115.39}
WEIGHTS, LAYERS, D_MODEL, TOKENS, TILE = 6.48e9, 32, 4096, 512, 128  # of all but the head, which one token needs
ARCHITECTURES = ["turing", "ampere", "ada", "blackwell"]
LIMIT = 15  # per cent, mean of absolute errors of rows that are not fitted: written before the fit


def rows():
    found = [(name, GPUS[name], rate, name in FITTED) for name, rate in SCOREBOARD.items()]
    return found + [(f"{BOARD}, {watts} W", (1792, 188, 2.617, 128, "blackwell", watts), rate, True)
                    for watts, rate in BY_POWER.items()]


def micro(text):
    number, unit = text.split()
    return float(number) * {"us": 1e-6, "ms": 1e-3}[unit]


def rate(software, constants, gpu):
    flop, exponent, *watts = constants
    bandwidth, multiprocessors, clock, units, architecture, power = gpu
    efficiency = software["efficiency"]
    share = 1.0
    if architecture in ARCHITECTURES:
        needed = multiprocessors * clock * watts[ARCHITECTURES.index(architecture)]
        share = min(1.0, (power / needed) ** exponent)
    cycles = TOKENS / TILE * WEIGHTS * (1 / efficiency["unpacked"] + 2 * TILE / (flop * units / 128))
    tiles = cycles / (multiprocessors * clock * share * 1e9)
    numbers = TOKENS * LAYERS * (2 * WEIGHTS / LAYERS / D_MODEL + 4 * D_MODEL)
    moved = numbers * efficiency["activation_bytes"] / (bandwidth * efficiency["memory"] * 1e9)
    launches = LAYERS * software["kernels"]["dense_layer"] * software["launch"]["cycles"] / (clock * 1e9)
    return TOKENS / (micro(software["host"]["step"]) + launches + moved + tiles)


def fit(software, fitted):
    """Least squares of relative errors by a search along the axes; the card at eight limits counts as two."""
    def loss(constants):
        return sum((rate(software, constants, gpu) / measured - 1) ** 2 * (0.25 if name.startswith(BOARD) else 1)
                   for name, gpu, measured, _ in fitted)

    return least(loss, [1000, 0.5, 3, 3, 1.5, 2], [100, 0.05, 0.3, 0.3, 0.15, 0.2], 1e-5)


def main():
    path = sys.argv[1] if len(sys.argv) == 2 else "models/catalog/software/llama-cpp.toml"
    with open(path, "rb") as file:
        software = tomllib.load(file)
    constants = fit(software, [row for row in rows() if row[3]])
    said = software["efficiency"]["tile_watts"]
    watts = dict(zip(ARCHITECTURES, constants[2:]))
    print(f"{constants[0]:.0f} FLOP a cycle, exponent {constants[1]:.3f}, watts " +
          ", ".join(f"{name} {value:.2f} (described: {said[name]:g})" for name, value in watts.items()))
    described = constants[:2] + [said[name] for name in ARCHITECTURES]
    errors = []
    for name, gpu, measured, is_fitted in rows():
        error = 100 * (rate(software, described, gpu) / measured - 1)
        if not is_fitted:
            errors.append(abs(error))
        print(f"  {'fitted' if is_fitted else 'predicted':12}{name:22}{measured:9.1f} tokens/s {error:+6.1f} %")
    mean = sum(errors) / len(errors)
    print(f"{len(errors)} rows that are not fitted, with the watts as described: mean of absolute errors {mean:.1f} % "
          f"(limit {LIMIT} %), worst {max(errors):.1f} %")
    wrong = [name for name in ARCHITECTURES if abs(said[name] / watts[name] - 1) > 0.1]
    for name in wrong:
        print(f"error: {path}: efficiency.tile_watts.{name} is not what these rows give", file=sys.stderr)
    return int(bool(wrong) or mean > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
