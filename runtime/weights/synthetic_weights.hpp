// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/device.hpp"

namespace pregate::runtime {

/// Fills `to` with values uniform in [-scale, scale), the same for the same seed and type on every machine;
/// with ones when `scale` is 0. fp16 and bf16 are rounded to nearest. The size must be a whole number of
/// elements.
void fill_synthetic(std::span<std::byte> to, ElementType type, std::uint64_t seed, float scale);

/// A seed for one of many things, e.g. the weights of one expert: different for different keys.
std::uint64_t seed_for(std::uint64_t seed, std::uint64_t kind, std::uint64_t key);

}  // namespace pregate::runtime
