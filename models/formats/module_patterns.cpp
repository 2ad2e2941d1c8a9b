// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/formats/module_patterns.hpp"

#include <array>

#include "models/error.hpp"

namespace pregate {
namespace {

constexpr std::size_t most_names = 1'000'000, most_globs = 8192, most_expressions = 256;
constexpr std::int64_t most_steps = 400'000'000;

/// What stands before the layers in the checkpoints of different families.
constexpr std::array<std::string_view, 7> prefixes{"model.language_model.",
                                                   "language_model.model.",
                                                   "language_model.",
                                                   "model.",
                                                   "backbone.",
                                                   "transformer.",
                                                   ""};

/// From the layers on, where they are those of the text model.
std::string_view from_layers(std::string_view pattern) {
  for (const std::string_view prefix : prefixes) {
    if (!pattern.starts_with(prefix)) continue;
    const std::string_view rest = pattern.substr(prefix.size());
    if (rest.starts_with("layers.") || rest.starts_with("blocks.") || rest == "embed_tokens" ||
        rest == "lm_head")
      return rest;
  }
  return pattern;
}

/// `*` and `?` as in a shell; the pattern may end where a component of the name does.
bool glob(std::string_view pattern, std::string_view name, std::int64_t& steps) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (true) {
    ++steps;
    if (p == pattern.size() && (n == name.size() || name[n] == '.')) return true;
    if (n < name.size() && p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (n < name.size() && p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (n == name.size() && p < pattern.size() && pattern[p] == '*') {
      ++p;
    } else if (star != std::string_view::npos && resume < name.size()) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
}

/// vLLM and AutoAWQ look for a part of the name: "model.layers.0." is that layer and not the tenth, ".gate"
/// no "up_gate". Runs of whole components, as names are matched here, need no dots at their ends.
std::string_view without_outer_dots(std::string_view pattern) {
  while (pattern.starts_with('.')) pattern.remove_prefix(1);
  while (pattern.ends_with('.')) pattern.remove_suffix(1);
  return pattern;
}

}  // namespace

void ModulePatterns::add(std::string_view pattern, const std::string& where) {
  where_ = where;
  if (names_.size() >= most_names || globs_.size() >= most_globs || expressions_.size() >= most_expressions)
    throw InputError(where, "lists absurdly many modules");
  const std::string_view name = without_outer_dots(pattern);
  if (name.empty() || pattern.size() > 1024)
    throw InputError(where, "lists a module without a name, or with one of more than 1024 characters");
  if (pattern.starts_with("re:")) {
    expressions_.emplace_back(pattern.substr(3), where);
  } else if (pattern.find_first_of("*?") != std::string_view::npos) {
    globs_.emplace_back(from_layers(pattern));
  } else {
    names_.emplace(from_layers(name));
  }
}

bool ModulePatterns::matches(std::string_view module) const {
  // Any run of whole components.
  for (std::size_t begin = 0; begin != std::string_view::npos;) {
    for (std::size_t end = begin; end != std::string_view::npos;) {
      end = module.find('.', end + 1);
      if (names_.contains(std::string(module.substr(begin, end - begin)))) return true;
    }
    for (const std::string& pattern : globs_) {
      if (glob(pattern, module.substr(begin), steps_)) return true;
    }
    const std::size_t dot = module.find('.', begin);
    begin = dot == std::string_view::npos ? dot : dot + 1;
  }
  for (const NameRegex& expression : expressions_) {
    for (const std::string_view prefix : prefixes) {
      if (expression.matches(std::string(prefix) + std::string(module), steps_)) return true;
    }
  }
  if (steps_ > most_steps)
    throw InputError(where_, "lists so many patterns of modules that they cannot be matched");
  return false;
}

}  // namespace pregate
