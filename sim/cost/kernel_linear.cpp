// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {
namespace {

constexpr std::int64_t chunk = 64;  // tokens that the delta rule takes at a time

double channels(const LinearShape& shape) {
  return static_cast<double>(2 * shape.key_heads * shape.key_dim + shape.value_heads * shape.value_dim);
}

double state_values(const LinearShape& shape) {
  return static_cast<double>(shape.batch * shape.value_heads) *
         static_cast<double>(shape.key_dim * shape.value_dim);
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
  const double state = state_values(shape) * 4;  // fp32, read and written in place
  const double passed = static_cast<double>(shape.batch) * channels(shape) * bf16_bytes * 2;
  return constants.floor_s +
         read_time(2 * state + passed, 2 * state + passed, state + passed, gpu, constants, residency);
}

double delta_prefill_time(const LinearShape& shape, const KernelPeaks& gpu, const KernelConstants& constants,
                          Residency residency) {
  const auto chunks = static_cast<double>(blocks_of(shape.tokens, chunk));
  const auto value_heads = static_cast<double>(shape.batch * shape.value_heads);
  // Chunks of a head follow one another; heads run beside one another.
  const double ordered = waves(value_heads, gpu, constants) * chunks * constants.step_s;
  // A token of a value head: its inputs and output, w and u of the chunk's transform; a chunk: its state.
  const double bytes = value_heads * static_cast<double>(shape.tokens) * bf16_bytes *
                           static_cast<double>(4 * shape.value_dim + 2 * shape.key_dim) +
                       chunks * state_values(shape) * bf16_bytes * 2;
  return constants.floor_s +
         overlapped(read_time(bytes, bytes, gpu, constants, residency), ordered, constants);
}

}  // namespace pregate::sim
