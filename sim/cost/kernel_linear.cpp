// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {
namespace {

constexpr std::int64_t chunk = 64;  // tokens that the delta rule takes at a time
constexpr double fp32_bytes = 4;    // of a state

double channels(const LinearShape& shape) {
  return static_cast<double>(2 * shape.key_heads * shape.key_dim + shape.value_heads * shape.value_dim);
}

double state_values(const LinearShape& shape) {
  return static_cast<double>(shape.batch * shape.value_heads) *
         static_cast<double>(shape.key_dim * shape.value_dim);
}

/// Seconds in which `bytes` pass when as much of `live`, what one pass of the call goes over, as fits L2 is
/// found there: the layer's earlier kernels have just written it.
double read_after_write(double bytes, double live, const KernelPeaks& gpu, const KernelConstants& constants) {
  const double found = std::min(1.0, static_cast<double>(gpu.l2.count) / live);
  return bytes * (1 - found + found / constants.l2_multiple) /
         (gpu.memory_bandwidth.value * constants.memory_share);
}

/// Bytes of all tokens: one key of each key head, a key and a value of each value head.
struct TokenBytes {
  double key_heads, value_heads_key, value_heads_value;
};

TokenBytes token_bytes(const LinearShape& shape) {
  const auto tokens = static_cast<double>(shape.batch * shape.tokens);
  return {tokens * static_cast<double>(shape.key_heads * shape.key_dim) * bf16_bytes,
          tokens * static_cast<double>(shape.value_heads * shape.key_dim) * bf16_bytes,
          tokens * static_cast<double>(shape.value_heads * shape.value_dim) * bf16_bytes};
}

/// FlashInfer's kernel: an SM takes one value head of one sequence after another and keeps its state; each
/// starts with `start_us` and takes its chunks in order, so that a part-filled last round costs a whole one.
double fused_delta_time(const LinearShape& shape, const KernelPeaks& gpu, const KernelConstants& constants) {
  const TokenBytes of = token_bytes(shape);
  const double bytes = 2 * of.key_heads + 2 * of.value_heads_value + 2 * state_values(shape) * fp32_bytes;
  const double rounds = std::ceil(static_cast<double>(shape.batch * shape.value_heads) / gpu.sm_count);
  const double ordered =
      rounds * (constants.start_s + static_cast<double>(blocks_of(shape.tokens, chunk)) * constants.step_s);
  return constants.floor_s + overlapped(read_after_write(bytes, bytes, gpu, constants), ordered, constants);
}

/// The Triton kernels of flash-linear-attention (fla/ops/gated_delta_rule/chunk.py), one after another:
/// products of a chunk's keys, the inverse of their triangle (`start_us` for the rows of a whole chunk, which
/// follow one another), the transform w and u, the states (its chunks in order), the outputs. Only the
/// states' kernel has an order.
double chunked_delta_time(const LinearShape& shape, const KernelPeaks& gpu,
                          const KernelConstants& constants) {
  const TokenBytes of = token_bytes(shape);
  const auto chunks = static_cast<double>(blocks_of(shape.tokens, chunk));
  const auto value_heads = static_cast<double>(shape.batch * shape.value_heads);
  const double states = chunks * state_values(shape) * bf16_bytes;                  // one before each chunk
  const double triangle = value_heads * static_cast<double>(shape.tokens * chunk);  // values
  // Products: keys in, triangle out (fp32). Inverse: in, out as bf16. Transform: keys, values, inverse in, w
  // and u out. Outputs: queries, keys, new values, states in, outputs out.
  const double beside = 4 * of.key_heads + triangle * (2 * fp32_bytes + 2 * bf16_bytes) + of.value_heads_key +
                        4 * of.value_heads_value + states;
  // States: keys, w and u in, new values and states out; the first and the last state of a sequence.
  const double in_order = of.key_heads + of.value_heads_key + 2 * of.value_heads_value + states +
                          2 * state_values(shape) * fp32_bytes;
  const double live = 2 * of.key_heads + of.value_heads_key + 3 * of.value_heads_value + states +
                      state_values(shape) * fp32_bytes;
  const double ordered = std::max(1.0, value_heads / gpu.sm_count) * chunks * constants.step_s;
  const double rows = static_cast<double>(std::min(shape.tokens, chunk)) / static_cast<double>(chunk);
  return constants.floor_s + rows * constants.start_s + read_after_write(beside, live, gpu, constants) +
         overlapped(read_after_write(in_order, live, gpu, constants), ordered, constants);
}

}  // namespace

double conv_decode_time(const LinearShape& shape, const KernelPeaks& gpu, const KernelConstants& constants,
                        Residency residency) {
  // Input and output, and the state of the last taps, read and written.
  const double bytes = static_cast<double>(shape.batch) * channels(shape) * bf16_bytes *
                       static_cast<double>(2 + 2 * shape.taps);
  return constants.floor_s + read_time(bytes, bytes, gpu, constants, residency);
}

double conv_prefill_time(const LinearShape& shape, const KernelPeaks& gpu, const KernelConstants& constants,
                         Residency residency) {
  const double bytes = static_cast<double>(shape.batch * shape.tokens) * channels(shape) * bf16_bytes * 2;
  return constants.floor_s + read_time(bytes, bytes, gpu, constants, residency);
}

double delta_decode_time(const LinearShape& shape, const KernelPeaks& gpu, const KernelConstants& constants,
                         Residency residency) {
  const double state = state_values(shape) * fp32_bytes;  // read and written in place
  const double passed = static_cast<double>(shape.batch) * channels(shape) * bf16_bytes * 2;
  return constants.floor_s +
         read_time(2 * state + passed, 2 * state + passed, state + passed, gpu, constants, residency);
}

double delta_prefill_time(const LinearShape& shape, const KernelPeaks& gpu,
                          const KernelConstants& constants) {
  return constants.packed > 0.5 ? fused_delta_time(shape, gpu, constants)
                                : chunked_delta_time(shape, gpu, constants);
}

}  // namespace pregate::sim
