// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/synthetic_weights.hpp"

#include <cstring>
#include <stdexcept>

namespace pregate::runtime {

namespace {

/// splitmix64 (Steele, Lea, Flood 2014): one multiply-xor chain a 64-bit draw.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31U);
}
constexpr std::uint64_t golden = 0x9E3779B97F4A7C15U;

float uniform(std::uint32_t bits, float scale) {
  if (scale == 0) return 1;
  return (static_cast<float>(bits >> 8U) * 0x1p-23F - 1.0F) * scale;
}

template <class Store>
void fill(std::size_t count, std::uint64_t seed, float scale, Store&& store) {
  for (std::size_t i = 0; i < count; i += 2) {
    const std::uint64_t draw = mix(seed + (i / 2 + 1) * golden);
    store(i, uniform(static_cast<std::uint32_t>(draw), scale));
    if (i + 1 < count) store(i + 1, uniform(static_cast<std::uint32_t>(draw >> 32U), scale));
  }
}

}  // namespace

std::uint64_t seed_for(std::uint64_t seed, std::uint64_t kind, std::uint64_t key) {
  return mix(mix(mix(seed + golden) + kind * golden) + (key + 1) * golden);
}

void fill_synthetic(std::span<std::byte> to, ElementType type, std::uint64_t seed, float scale) {
  const std::size_t element = type == ElementType::f32 ? 4 : 2;
  if (to.size() % element != 0) throw std::invalid_argument("not a whole number of elements");
  const std::size_t count = to.size() / element;
  std::byte* const data = to.data();
  const auto put = [&](std::size_t i, auto value) {
    std::memcpy(data + i * sizeof value, &value, sizeof value);
  };
  switch (type) {
    case ElementType::f32:
      fill(count, seed, scale, [&](std::size_t i, float value) { put(i, value); });
      break;
    case ElementType::f16:
      fill(count, seed, scale, [&](std::size_t i, float value) { put(i, kernels::to_float16(value)); });
      break;
    case ElementType::bf16:
      fill(count, seed, scale, [&](std::size_t i, float value) { put(i, kernels::to_bfloat16(value)); });
      break;
  }
}

}  // namespace pregate::runtime
