#!/usr/bin/env python3
# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
"""Fits what a software costs on the decode rates of dense models that are wholly on one GPU.

  fit_dense_decode.py RTX2080.csv                  a file of `model,decode_tok_s,...` (measured on one box)
  fit_dense_decode.py RTX2080.csv SOFTWARE.toml    exit 1 if the description has other constants than these rows give;
                                                   77 if there is no such file of rows

A token takes  read / (bandwidth x efficiency) + layers x layer + step:  three constants for all rows, by least squares of
the relative error. The description has one efficiency and one time a step for all GPUs (fit_gpu_decode.py); with them given,
these rows fix the third, and that is what is held against the description. What a row is, is taken from the model cards: parameters, layers, embeddings that a token does not
read. Rows left out, by rule: models that do not fit the GPU whole; Gemma, whose layers have twice as many norms and
capped scores, so other kernels. Those that fit the GPU are predicted instead.

Another constant, with these given: models that do not fit have their last layers and their head on the CPU, which
goes through them at  host bandwidth x share.  That is less than the memory gives (cpu.bandwidth) and than the products of
such weights reach (cpu.packed.super_blocks), so that it says what a core of this host reads (host.core_bandwidth): limits a
and b leave (a^-join + b^-join)^(-1/join).  How many layers the GPU has (-ngl) is in pull requests 774, 775 and 778 of the
source; of the other models it is not to be had.
"""
import csv
import os
import sys
import tomllib

BANDWIDTH = 448e9  # RTX 2080 datasheet
BITS = 4.85        # q4_k_m, a parameter, over whole models (llama.cpp's own figures: 4.83 to 4.92)

# Part of the file's name: parameters (1e9), layers, embeddings not read by a token (1e9; 0 where they are the head too).
DENSE = {
    "Qwen3-4B": (4.02, 36, 0), "Qwen3-8B": (8.19, 36, 0.622), "Meta-Llama-3.1-8B": (8.03, 32, 0.525),
    "Ministral-8B": (8.02, 36, 0.537), "Mistral-7B": (7.25, 32, 0.134), "Qwen2.5-7B": (7.62, 28, 0.545),
    "Qwen2.5-Coder-7B": (7.62, 28, 0.545), "DeepSeek-R1-Distill-Qwen-7B": (7.62, 28, 0.545),
    "Llama-3.2-3B": (3.21, 28, 0), "Llama-3.2-1B": (1.24, 16, 0), "Qwen2.5-Coder-3B": (3.09, 36, 0),
    "Phi-3.5-mini": (3.82, 32, 0.0985), "granite-3.1-8b": (8.17, 40, 0), "DeepSeek-R1-Distill-Llama-8B": (8.03, 32, 0.525),
    "Falcon3-7B": (7.46, 28, 0.403),
}
HOST = "workstation-ddr4-3200.toml"  # beside the folder of the description, in hosts
HOST_BANDWIDTH = 76e9
HEAD_BITS = 6.5625     # q6_k

# The same: parameters (1e9), layers, parameters of the head (1e9; embeddings are as many again), layers on the GPU.
SPLIT = {
    "Qwen3-14B": (14.77, 40, 0.778, 32), "phi-4": (14.66, 40, 0.514, 32), "Mistral-Small-24B": (23.57, 40, 0.671, 16),
    "Qwen2.5-14B": (14.77, 48, 0.778, 42), "Qwen2.5-Coder-14B": (14.77, 48, 0.778, 42),
}
PREDICTED = {"gemma-2-2b": (2.61, 26, 0)}


def terms(parameters, layers, not_read):
    return [(parameters - not_read) * 1e9 * BITS / 8 / BANDWIDTH, layers, 1]


def least_squares(rows, rights):
    n = len(rows[0])
    matrix = [[sum(r[i] * r[j] for r in rows) for j in range(n)] + [sum(r[i] * y for r, y in zip(rows, rights))]
              for i in range(n)]
    for i in range(n):
        best = max(range(i, n), key=lambda k: abs(matrix[k][i]))
        matrix[i], matrix[best] = matrix[best], matrix[i]
        for k in range(n):
            if k != i:
                factor = matrix[k][i] / matrix[i][i]
                matrix[k] = [a - factor * b for a, b in zip(matrix[k], matrix[i])]
    return [matrix[i][n] / matrix[i][i] for i in range(n)]


def rates(path, models):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for name, shape in models.items():
        for row in rows:
            if row["model"].startswith(name):
                found.append((row["model"], shape, float(row["decode_tok_s"])))
    return found


def fit(measured):
    return least_squares([[t * rate for t in terms(*shape)] for _, shape, rate in measured], [1] * len(measured))


def fit_given(efficiency, step, measured):
    """The constants with an efficiency and a step that are not fitted."""
    rights = [1 - (terms(*shape)[0] / efficiency + step) * rate for _, shape, rate in measured]
    layer = least_squares([[terms(*shape)[1] * rate] for _, shape, rate in measured], rights)
    return [1 / efficiency] + layer + [step]


def error(constants, shape, rate):
    return 1 / sum(c * t for c, t in zip(constants, terms(*shape))) / rate - 1


def on_the_cpu(constants, parameters, layers, head, gpu_layers):
    """Time of the GPU's part, s, and bytes that the CPU reads."""
    layer = (parameters - 2 * head) * 1e9 / layers * BITS / 8
    gpu = sum(c * t for c, t in zip(constants, [gpu_layers * layer / BANDWIDTH, gpu_layers, 1]))
    return gpu, (layers - gpu_layers) * layer + head * 1e9 * HEAD_BITS / 8


def fit_share(constants, measured):
    """Least squares of relative errors in 1 / share."""
    parts = [(on_the_cpu(constants, *shape), rate) for _, shape, rate in measured]
    slopes = [read / HOST_BANDWIDTH * rate for (_, read), rate in parts]
    rights = [1 - gpu * rate for (gpu, _), rate in parts]
    return sum(s * s for s in slopes) / sum(s * r for s, r in zip(slopes, rights))


def split_error(constants, share, shape, rate):
    gpu, read = on_the_cpu(constants, *shape)
    return 1 / (gpu + read / (HOST_BANDWIDTH * share)) / rate - 1


def micro(text):
    number, unit = text.split()
    return float(number) * {"us": 1, "ms": 1000}[unit]


def parse(text):
    number, unit = text.split()
    return float(number) * {"GB/s": 1e9, "TFLOP/s": 1e12}[unit]


def without(limit, reached, join):
    """The other limit, where one of them is known."""
    return (reached ** -join - limit ** -join) ** (-1 / join)


def read_by_a_core(software, host, share):
    """Bytes a second, where all of them go through weights of BITS at HOST_BANDWIDTH x share."""
    cpu, spec = software["cpu"], host["host"]
    rate = parse(spec["rate"]) * min(1, 32 / spec.get("flop_per_cycle", 32))
    computes = rate * cpu["packed"]["super_blocks"] / 2 * BITS / 8
    reads = without(computes, HOST_BANDWIDTH * share, cpu["join"])
    return without(parse(spec["memory_bandwidth"]) * cpu["bandwidth"], reads, cpu["join"]) / spec["cores"]


def differs(path, constants, share):
    """Prints what a description says otherwise, beyond the two digits that it is given in."""
    with open(path, "rb") as file:
        software = tomllib.load(file)
    with open(os.path.join(os.path.dirname(path), "..", "hosts", HOST), "rb") as file:
        host = tomllib.load(file)
    core = read_by_a_core(software, host, share)
    print(f"of which the memory gives {software['cpu']['bandwidth']:.2f}: a core reads {core / 1e9:.2f} GB/s")
    said = {
        "launch.eager x kernels.dense_layer, us": (
            micro(software["launch"]["eager"]) * software["kernels"]["dense_layer"], 1e6 * constants[1]),
        f"host.core_bandwidth of {HOST}, GB/s": (parse(host["host"]["core_bandwidth"]) / 1e9, core / 1e9),
    }
    wrong = {key: pair for key, pair in said.items() if abs(pair[0] / pair[1] - 1) > 0.02}
    for key, (stated, fitted) in wrong.items():
        print(f"error: {path}: {key}: said is {stated:.4g}, the rows give {fitted:.4g}", file=sys.stderr)
    return bool(wrong)


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    if len(sys.argv) == 3 and not os.path.exists(sys.argv[1]):
        print(f"SKIPPED: recorded data absent ({sys.argv[1]})")
        return 77
    measured = rates(sys.argv[1], DENSE)
    constants = fit(measured)
    print(f"efficiency {1 / constants[0]:.3f}, {1e6 * constants[1]:.1f} us a dense layer, {1e6 * constants[2]:.0f} us a step")
    left_out = []
    for i, (name, shape, rate) in enumerate(measured):
        left_out.append(error(fit(measured[:i] + measured[i + 1:]), shape, rate))
        print(f"  fitted     {name[:40]:42}{rate:7.1f} tokens/s {100 * error(constants, shape, rate):+6.1f} %"
              f"   left out {100 * left_out[-1]:+6.1f} %")
    print(f"each left out in turn: mean of absolute errors {100 * sum(map(abs, left_out)) / len(left_out):.1f} %")
    for name, shape, rate in rates(sys.argv[1], PREDICTED):
        print(f"  predicted  {name[:40]:42}{rate:7.1f} tokens/s {100 * error(constants, shape, rate):+6.1f} %")
    if len(sys.argv) == 3:
        with open(sys.argv[2], "rb") as file:
            software = tomllib.load(file)
        constants = fit_given(software["efficiency"]["memory"], 1e-6 * micro(software["host"]["step"]), measured)
        mean = sum(abs(error(constants, shape, rate)) for _, shape, rate in measured) / len(measured)
        print(f"with efficiency {1 / constants[0]:.3f} and {1e6 * constants[2]:.0f} us a step given: "
              f"{1e6 * constants[1]:.1f} us a dense layer; mean of absolute errors {100 * mean:.1f} %")
    split = rates(sys.argv[1], SPLIT)
    share = fit_share(constants, split)
    print(f"the CPU reads at {share:.3f} of {HOST_BANDWIDTH / 1e9:.0f} GB/s")
    for i, (name, shape, rate) in enumerate(split):
        left = split_error(constants, fit_share(constants, split[:i] + split[i + 1:]), shape, rate)
        print(f"  fitted     {name[:40]:42}{rate:7.2f} tokens/s {100 * split_error(constants, share, shape, rate):+6.1f} %"
              f"   left out {100 * left:+6.1f} %")
    return int(differs(sys.argv[2], constants, share)) if len(sys.argv) == 3 else 0


if __name__ == "__main__":
    sys.exit(main())
