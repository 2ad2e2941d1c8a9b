// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "tests/standin/ptx/block.hpp"

namespace pregate::standin::ptx {

/// A machine for tests: a few blocks of device memory, and a list of what was reported.
class Machine : public Environment {
 public:
  explicit Machine(std::uint32_t seed = 1) : random_(seed) {}

  /// A block of device memory at an address that depends on how many there are; starts as `bytes`.
  std::uintptr_t allocate(std::vector<std::uint8_t> bytes);
  template <class T>
  std::uintptr_t allocate_array(const std::vector<T>& values) {
    std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return allocate(std::move(bytes));
  }
  template <class T>
  std::vector<T> array(std::uintptr_t address) const {
    const auto& bytes = memory_.at(address);
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  /// Runs the only kernel of a module whose parameters are 64-bit addresses.
  void run(const std::string& ptx, Extent grid, Extent block, const std::vector<std::uint64_t>& parameters,
           std::size_t dynamic_shared = 0);

  Resolved resolve(std::uintptr_t address, std::size_t size, bool write) override;
  void report(const char* kind, const std::string& text) override;
  std::uint32_t random() override;

  /// Kinds of the findings, in order, and their texts.
  std::vector<std::string> kinds;
  std::vector<std::string> texts;
  /// Device memory that the last kernel touched.
  std::vector<Range> touched;

 private:
  std::map<std::uintptr_t, std::vector<std::uint8_t>> memory_;
  std::uint32_t random_;
};

/// A module with one kernel `k` of `parameters` addresses p0, p1 ..., which are in %p0, %p1 ... when `body`
/// begins. %tid and %lane are there too; the body declares all else.
std::string kernel(const std::string& body, int parameters);

/// A value of a certain width, for instruction tests.
struct Value {
  int bits = 32;  ///< 1 (a predicate), 16, 32 or 64
  std::uint64_t value = 0;
  bool operator==(const Value&) const = default;
};
inline Value half(std::uint64_t v) { return {16, v & 0xffffU}; }
inline Value word(std::uint64_t v) { return {32, v & 0xffffffffU}; }
inline Value quad(std::uint64_t v) { return {64, v}; }
inline Value flag(bool v) { return {1, v ? 1U : 0U}; }
inline Value f32(float v) { return {32, std::bit_cast<std::uint32_t>(v)}; }
inline Value f64(double v) { return {64, std::bit_cast<std::uint64_t>(v)}; }
void PrintTo(const Value& value, std::ostream* out);

/// Assembles and runs `instruction %d, %a, %b ..;` (or the text itself when it names %d) for the given
/// sources, and gives %d, whose width is `bits`.
Value result(const std::string& instruction, int bits, const std::vector<Value>& sources);

}  // namespace pregate::standin::ptx
