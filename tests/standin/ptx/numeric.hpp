// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

namespace pregate::standin::ptx {

/// Rounding modifiers: .rn .rz .rm .rp (also the direction of .rni .rzi .rmi .rpi).
enum class Rounding : std::uint8_t { nearest_even, toward_zero, down, up };

inline float as_f32(std::uint64_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits)); }
inline std::uint64_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }
inline double as_f64(std::uint64_t bits) { return std::bit_cast<double>(bits); }
inline std::uint64_t bits_of(double value) { return std::bit_cast<std::uint64_t>(value); }

/// The bit pattern that PTX arithmetic produces for every NaN result in single precision.
inline constexpr std::uint32_t canonical_nan_f32 = 0x7fffffffU;

/// `value`'s bits with every NaN made canonical.
std::uint64_t result_bits(float value);
std::uint64_t result_bits(double value);

/// Subnormal values become a zero of the same sign (.ftz).
float flushed(float value);

/// Limits to [0, 1]; NaN becomes +0 (.sat).
double saturated(double value);

/// A binary format narrower than double: sign, `exponent_bits`, `mantissa_bits`.
struct SmallFormat {
  int exponent_bits;
  int mantissa_bits;
};
inline constexpr SmallFormat f16_format{5, 10};
inline constexpr SmallFormat bf16_format{8, 7};

/// `value` rounded once to `format`; NaN gives the canonical 0x7fff.
std::uint16_t encode(double value, SmallFormat format, Rounding rounding);

/// Exact.
double decode(std::uint16_t bits, SmallFormat format);

/// a + b rounded to odd, so that a later rounding to at most 51 bits is as if done once from the exact sum.
double sum_rounded_to_odd(double a, double b);

/// Sets the host's rounding direction for a scope; users are compiled with -frounding-math.
class RoundingScope {
 public:
  explicit RoundingScope(Rounding rounding);
  ~RoundingScope();
  RoundingScope(const RoundingScope&) = delete;
  RoundingScope& operator=(const RoundingScope&) = delete;

 private:
  int saved_;
};

/// `value` rounded to an integral value in the given direction; exact in double.
double rounded_to_integral(double value, Rounding rounding);

}  // namespace pregate::standin::ptx
