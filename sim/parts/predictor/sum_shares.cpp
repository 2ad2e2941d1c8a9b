// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/sum_shares.hpp"

#include <algorithm>
#include <array>

// Code for wider CPUs is chosen when the program runs. Not with sanitizers, which cannot choose a function
// before they begin.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define PREGATE_FOR_WIDER_CPUS __attribute__((target_clones("avx2", "default")))
#include <immintrin.h>
#else
#define PREGATE_FOR_WIDER_CPUS
#endif

namespace pregate::sim {

namespace {

/// Rows one behind the other. Column by column, so that sums stay in registers.
PREGATE_FOR_WIDER_CPUS void sum_gathered(const std::int32_t* counts, std::size_t width,
                                         std::span<const RowOfCounts> rows, double* sums) {
  constexpr std::size_t block = 16;
  std::size_t column = 0;
  for (; column + block <= width; column += block) {
    std::array<double, block> of_block{};
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const std::int32_t* const of_row = counts + row * width + column;
      for (std::size_t i = 0; i < block; ++i) of_block[i] += static_cast<double>(of_row[i]) * rows[row].each;
    }
    std::copy(of_block.begin(), of_block.end(), sums + column);
  }
  for (; column < width; ++column) {
    double sum = 0;
    for (std::size_t row = 0; row < rows.size(); ++row)
      sum += static_cast<double>(counts[row * width + column]) * rows[row].each;
    sums[column] = sum;
  }
}

void sum_anywhere(std::span<const RowOfCounts> rows, std::size_t width, double* sums,
                  std::vector<std::int32_t>& room) {
  constexpr std::size_t ahead = 8;  // rows, while whose memory is fetched others are copied
  room.resize(rows.size() * width);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i + ahead < rows.size()) __builtin_prefetch(rows[i + ahead].bytes);
    if (rows[i].wide != nullptr) {
      std::copy_n(rows[i].wide, width, room.data() + i * width);
    } else {
      std::copy_n(rows[i].bytes, width, room.data() + i * width);
    }
  }
  sum_gathered(room.data(), width, rows, sums);
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)

constexpr std::size_t lanes = 8;  // doubles of 512 bits
constexpr std::size_t wide_block = 4 * lanes;

/// Of columns [0, width), a multiple of wide_block, from the counts where they lie. The product that rounds
/// by name is none that the compiler fuses with the sum.
__attribute__((target("avx512f"))) void sum_in_place(std::span<const RowOfCounts> rows, std::size_t width,
                                                     double* sums) {
  constexpr __mmask8 all = 0xff;
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  for (std::size_t column = 0; column < width; column += wide_block) {
    constexpr std::size_t vectors = wide_block / lanes;
    __m512d of_block[vectors];
    for (__m512d& sum : of_block) sum = _mm512_setzero_pd();
    for (const RowOfCounts& row : rows) {
      const __m512d each = _mm512_set1_pd(row.each);
      for (std::size_t i = 0; i < vectors; ++i) {
        const std::size_t at = column + i * lanes;
        const __m256i counts =
            row.wide != nullptr
                ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row.wide + at))
                : _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row.bytes + at)));
        const __m512d product =
            _mm512_maskz_mul_round_pd(all, _mm512_maskz_cvtepi32_pd(all, counts), each, nearest);
        of_block[i] = _mm512_add_pd(of_block[i], product);
      }
    }
    for (std::size_t i = 0; i < vectors; ++i) _mm512_storeu_pd(sums + column + i * lanes, of_block[i]);
  }
}

bool has_512_bits() {
  static const bool has = __builtin_cpu_supports("avx512f") != 0;
  return has;
}

#else

constexpr std::size_t wide_block = 1;
void sum_in_place(std::span<const RowOfCounts>, std::size_t, double*) {}
bool has_512_bits() { return false; }

#endif

}  // namespace

void sum_shares(std::span<const RowOfCounts> rows, std::size_t width, double* sums,
                std::vector<std::int32_t>& room) {
  if (width % wide_block == 0 && has_512_bits())
    sum_in_place(rows, width, sums);
  else
    sum_anywhere(rows, width, sums, room);
}

}  // namespace pregate::sim
