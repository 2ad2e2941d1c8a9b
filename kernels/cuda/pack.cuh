// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>

#include "kernels/element.hpp"

/// Elements as they are moved and computed on: up to 16 bytes an access, arithmetic in float.
namespace pregate::kernels::cuda {

__device__ inline float widen(float value) { return value; }
__device__ inline float widen(Float16 value) { return __half2float(__ushort_as_half(value.bits)); }
__device__ inline float widen(BFloat16 value) { return __bfloat162float(__ushort_as_bfloat16(value.bits)); }

__device__ inline void narrow(float value, float& to) { to = value; }
__device__ inline void narrow(float value, Float16& to) {
  to.bits = __half_as_ushort(__float2half_rn(value));
}
__device__ inline void narrow(float value, BFloat16& to) {
  to.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
}

/// How many elements make up 16 bytes.
template <class Element>
inline constexpr int full_pack = 16 / static_cast<int>(sizeof(Element));

template <int bytes>
struct Word;
template <>
struct Word<16> {
  using type = uint4;
};
template <>
struct Word<4> {
  using type = std::uint32_t;
};
template <>
struct Word<2> {
  using type = std::uint16_t;
};

/// `count` elements in registers, as floats. Memory is read and written in one access, so it must be aligned
/// to all of them; indices must be constants after unrolling, else the array would go to local memory.
template <class Element, int count>
struct Pack {
  float values[count];

  __device__ static Pack load(const Element* from) {
    const auto word = *reinterpret_cast<const MemoryWord*>(from);
    Element elements[count];
    memcpy(elements, &word, sizeof(word));
    Pack pack;
#pragma unroll
    for (int i = 0; i < count; ++i) pack.values[i] = widen(elements[i]);
    return pack;
  }

  __device__ void store(Element* to) const {
    Element elements[count];
#pragma unroll
    for (int i = 0; i < count; ++i) narrow(values[i], elements[i]);
    MemoryWord word;
    memcpy(&word, elements, sizeof(word));
    *reinterpret_cast<MemoryWord*>(to) = word;
  }

 private:
  using MemoryWord = typename Word<count* static_cast<int>(sizeof(Element))>::type;
};

/// Whether all of these addresses are multiples of 16 (as null is).
template <class... Pointers>
bool are_aligned(const Pointers*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace pregate::kernels::cuda
