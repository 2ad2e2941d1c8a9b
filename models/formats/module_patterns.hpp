// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "models/formats/name_regex.hpp"

namespace pregate {

/// A list of modules of a checkpoint, as quantizers write it: whole names ("model.layers.3.mlp.gate"), parts
/// of them ("lm_head", "gate"), shell patterns ("model.layers.*.self_attn") and "re:" expressions. A name is
/// in the list with everything below it.
class ModulePatterns {
 public:
  /// InputError at `where` when the pattern is not understood, or when there are absurdly many.
  void add(std::string_view pattern, const std::string& where);

  [[nodiscard]] bool empty() const { return names_.empty() && globs_.empty() && expressions_.empty(); }
  /// Whether the module is in the list. `module` begins at the layers: "layers.3.mlp.gate", or is a name
  /// beside them: "lm_head". InputError when looking costs more than any real list does.
  [[nodiscard]] bool matches(std::string_view module) const;

 private:
  std::string where_;
  std::unordered_set<std::string> names_;
  std::vector<std::string> globs_;
  std::vector<NameRegex> expressions_;
  mutable std::int64_t steps_ = 0;
};

}  // namespace pregate
