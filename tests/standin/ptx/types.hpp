// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pregate::standin::ptx {

/// The fundamental types of PTX that the interpreter knows, in the order of `type_named`.
enum class Type : std::uint8_t {
  none,
  pred,
  b8,
  b16,
  b32,
  b64,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  f16x2,
  bf16,
  bf16x2,
  f32,
  f64
};

/// The type of a modifier without its dot ("s32"); Type::none when it names none.
Type type_named(std::string_view name);

/// Bytes in memory; a predicate counts as one.
std::size_t size_of(Type type);

bool is_signed(Type type);

/// f16, bf16 (packed or not), f32 and f64.
bool is_floating(Type type);

/// State spaces. `generic` addresses are resolved to one of the others at execution.
enum class Space : std::uint8_t { generic, global, shared, local, param };

}  // namespace pregate::standin::ptx
