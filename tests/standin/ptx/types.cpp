// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/types.hpp"

#include <array>

namespace pregate::standin::ptx {
namespace {

struct TypeRow {
  std::string_view name;
  std::size_t size;
};

constexpr std::array<TypeRow, 20> rows = {{
    {"", 0},    {"pred", 1},  {"b8", 1},   {"b16", 2},    {"b32", 4}, {"b64", 8}, {"u8", 1},
    {"u16", 2}, {"u32", 4},   {"u64", 8},  {"s8", 1},     {"s16", 2}, {"s32", 4}, {"s64", 8},
    {"f16", 2}, {"f16x2", 4}, {"bf16", 2}, {"bf16x2", 4}, {"f32", 4}, {"f64", 8},
}};

}  // namespace

Type type_named(std::string_view name) {
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].name == name) return static_cast<Type>(i);
  }
  return Type::none;
}

std::size_t size_of(Type type) { return rows[static_cast<std::size_t>(type)].size; }

bool is_signed(Type type) { return type >= Type::s8 && type <= Type::s64; }

bool is_floating(Type type) { return type >= Type::f16; }

}  // namespace pregate::standin::ptx
