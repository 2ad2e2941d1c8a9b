// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "kernels/element.hpp"

namespace pregate::kernels {

/// Small shapes are enough for every branch, and for an interpreted GPU; PREGATE_KERNEL_TEST_SIZES=large adds
/// those of real models.
inline bool with_large_sizes() {
  const char* sizes = std::getenv("PREGATE_KERNEL_TEST_SIZES");
  return sizes != nullptr && std::string_view(sizes) == "large";
}

template <class Size>
std::vector<Size> sizes(std::vector<Size> small, const std::vector<Size>& large) {
  if (with_large_sizes()) small.insert(small.end(), large.begin(), large.end());
  return small;
}

/// Bound of ||out - ref|| / ||ref|| where ref is the reference in float on the same stored inputs. float: 64
/// roundings of 2^-24, as exp multiplies its argument's rounding by the argument (17 for gelu(-5), alone in
/// its array). The 16-bit types: their unit roundoff (2^-11, 2^-8), which the one rounding on the way out
/// cannot exceed, and that.
template <class Element>
constexpr double bound = 0x1p-18;
template <>
constexpr double bound<Float16> = 0x1p-11 + 0x1p-18;
template <>
constexpr double bound<BFloat16> = 0x1p-8 + 0x1p-18;

/// Bit for bit.
template <class Value>
bool same_bits(const std::vector<Value>& a, const std::vector<Value>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Value)) == 0);
}

}  // namespace pregate::kernels
