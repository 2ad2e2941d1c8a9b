// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/tensor_names.hpp"

#include <charconv>
#include <span>

namespace pregate::runtime {

namespace {

using Part = ExpertMatrix::Part;

struct Role {
  std::string_view name;
  Part part;
};
constexpr Role mixtral[] = {{"w1", Part::gate}, {"w3", Part::up}, {"w2", Part::out}};
constexpr Role projections[] = {{"gate_proj", Part::gate}, {"up_proj", Part::up}, {"down_proj", Part::out}};
constexpr Role switch_transformers[] = {{"wi", Part::in}, {"wo", Part::out}};

/// <before>L<between>E.<role>.weight
struct Naming {
  std::string_view stack, before, between;
  std::span<const Role> roles;
};
constexpr Naming namings[] = {
    {"decoder", "model.layers.", ".block_sparse_moe.experts.", mixtral},
    {"decoder", "model.layers.", ".mlp.experts.", projections},
    {"decoder", "decoder.block.", ".layer.2.mlp.experts.expert_", switch_transformers},
    {"encoder", "encoder.block.", ".layer.1.mlp.experts.expert_", switch_transformers},
};

/// Takes `expected` off the front of `text`.
bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

/// A number as these names have it: no sign, no leading zero, below a million.
bool take_number(std::string_view& text, int& number) {
  const std::size_t digits = text.substr(0, 7).find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || digits > 6) return false;
  if (digits > 1 && text.front() == '0') return false;
  std::from_chars(text.data(), text.data() + digits, number);
  text.remove_prefix(digits);
  return true;
}

std::optional<ExpertMatrix> match(const Naming& naming, std::string_view text) {
  ExpertMatrix matrix{.stack = std::string(naming.stack)};
  if (!take(text, naming.before) || !take_number(text, matrix.layer) || !take(text, naming.between) ||
      !take_number(text, matrix.expert) || !take(text, "."))
    return {};
  for (const Role& role : naming.roles) {
    std::string_view rest = text;
    if (!take(rest, role.name) || rest != ".weight") continue;
    matrix.part = role.part;
    return matrix;
  }
  return {};
}

}  // namespace

std::optional<ExpertMatrix> expert_matrix(std::string_view tensor) {
  for (const Naming& naming : namings) {
    if (auto matrix = match(naming, tensor)) return matrix;
  }
  return {};
}

}  // namespace pregate::runtime
