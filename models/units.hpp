// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace pregate {

// NOLINT below: clang-tidy 14 takes the 0 inside a defaulted <=> for a null pointer.

/// A point in virtual time or a duration: integer picoseconds (int64 spans 106 days).
struct Picoseconds {
  std::int64_t count = 0;

  constexpr auto operator<=>(const Picoseconds&) const = default;  // NOLINT(modernize-use-nullptr)
  constexpr Picoseconds& operator+=(Picoseconds other) { return count += other.count, *this; }
  constexpr Picoseconds& operator-=(Picoseconds other) { return count -= other.count, *this; }
  friend constexpr Picoseconds operator+(Picoseconds a, Picoseconds b) { return {a.count + b.count}; }
  friend constexpr Picoseconds operator-(Picoseconds a, Picoseconds b) { return {a.count - b.count}; }
  friend constexpr Picoseconds operator*(Picoseconds a, std::int64_t n) { return {a.count * n}; }

  [[nodiscard]] constexpr double seconds() const { return static_cast<double>(count) * 1e-12; }
  [[nodiscard]] constexpr double milliseconds() const { return static_cast<double>(count) * 1e-9; }
};

/// A size in bytes.
struct Bytes {
  std::int64_t count = 0;

  constexpr auto operator<=>(const Bytes&) const = default;  // NOLINT(modernize-use-nullptr)
  constexpr Bytes& operator+=(Bytes other) { return count += other.count, *this; }
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.count - b.count}; }
  friend constexpr Bytes operator*(Bytes a, std::int64_t n) { return {a.count * n}; }
};

/// A transfer rate. Always finite and > 0 once parsed or validated.
struct BytesPerSecond {
  double value = 0;
  constexpr auto operator<=>(const BytesPerSecond&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// An arithmetic rate (one multiply-add = 2 FLOP).
struct FlopPerSecond {
  double value = 0;
  constexpr auto operator<=>(const FlopPerSecond&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// Smallest whole number of picoseconds in which `bytes` pass at `rate`.
Picoseconds time_at(Bytes bytes, BytesPerSecond rate);

/// Nearest whole number of picoseconds to `seconds`.
Picoseconds from_seconds(double seconds);

/// Parsers of `<number><unit>` (a space between is allowed); all throw InputError at `where` when the number
/// is not finite, negative or absurd, or the unit is missing, unknown or of another dimension; the error
/// lists the units accepted. Decimal (kB, MB, GB, TB) and binary (KiB, MiB, GiB, TiB) prefixes are distinct.
Bytes parse_bytes(std::string_view text, std::string_view where);                      ///< 4GiB, 250 MB, 17 B
BytesPerSecond parse_bytes_per_second(std::string_view text, std::string_view where);  ///< 25GB/s, 23.3GiB/s
FlopPerSecond parse_flop_per_second(std::string_view text,
                                    std::string_view where);                ///< 19.5 TFLOP/s, 312TFLOPS
Picoseconds parse_duration(std::string_view text, std::string_view where);  ///< 10us, 0.04 ms, 250ns, 1s

/// For people, three significant digits: "4 GiB", "18.9 MB" is never used: binary prefixes for sizes.
std::string to_string(Bytes bytes);
/// "25 GB/s": decimal prefixes for rates, as links are sold.
std::string to_string(BytesPerSecond rate);
/// "1.13 ms", "40 us".
std::string to_string(Picoseconds duration);

}  // namespace pregate
