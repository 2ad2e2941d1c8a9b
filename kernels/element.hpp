// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace pregate::kernels {

/// IEEE binary16 as it lies in memory (CUDA's __half).
struct Float16 {
  std::uint16_t bits = 0;
};

/// The upper half of a binary32 (CUDA's __nv_bfloat16).
struct BFloat16 {
  std::uint16_t bits = 0;
};

/// Exact; NaN stays NaN.
float to_float(Float16 value);
float to_float(BFloat16 value);
inline float to_float(float value) { return value; }

/// Rounded to nearest, ties to even; what is too large becomes infinity, NaN stays NaN.
Float16 to_float16(float value);
BFloat16 to_bfloat16(float value);

/// The conversion for code that is generic over the element.
template <class Element>
Element from_float(float value);
template <>
inline float from_float<float>(float value) {
  return value;
}
template <>
inline Float16 from_float<Float16>(float value) {
  return to_float16(value);
}
template <>
inline BFloat16 from_float<BFloat16>(float value) {
  return to_bfloat16(value);
}

}  // namespace pregate::kernels
