// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "models/terminal_text.hpp"

namespace pregate {
namespace {

std::string message(std::string_view where, std::string_view problem, std::string_view hint) {
  std::string text;
  if (!where.empty()) text.append(one_line(where)).append(": ");
  text.append(one_line(problem));
  if (!hint.empty()) text.append("\n       hint: ").append(one_line(hint));
  return text;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

/// Levenshtein distance.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, substituted}));
    }
  }
  return row[b.size()];
}

std::string join(std::span<const std::string> names, std::string_view separator,
                 std::string_view last_separator, std::string_view quote) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text.append(i + 1 == names.size() ? last_separator : separator);
    text.append(quote).append(names[i]).append(quote);
  }
  return text;
}

constexpr std::size_t longest_name = 100;  ///< longer ones are no typing error, and would cost time
constexpr std::size_t most_listed = 60;

}  // namespace

InputError::InputError(std::string_view where, std::string_view problem, std::string_view hint)
    : std::runtime_error(message(where, problem, hint)),
      where_(one_line(where)),
      problem_(one_line(problem)),
      hint_(one_line(hint)) {}

std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string> valid,
                                       std::size_t limit) {
  if (name.empty() || name.size() > longest_name) return {};
  const std::string wanted = lower(name);
  std::vector<std::pair<std::size_t, const std::string*>> near;
  for (const std::string& candidate : valid) {
    const std::string known = lower(candidate);
    const std::size_t longer = std::max(wanted.size(), known.size());
    const std::size_t distance = edit_distance(wanted, known);
    const bool mistyped = distance <= std::max<std::size_t>(1, longer / 3) && distance < longer;
    const bool part =
        wanted.size() >= 3 && known.find(wanted) != std::string::npos;  // "mixtral", "bandwidth"
    if (mistyped || part) near.emplace_back(distance, &candidate);
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> result;
  for (std::size_t i = 0; i < std::min(limit, near.size()); ++i) result.push_back(*near[i].second);
  return result;
}

std::string suggest(std::string_view name, std::span<const std::string> valid) {
  const std::vector<std::string> near = nearest_names(name, valid);
  if (!near.empty()) return "did you mean " + join(near, ", ", " or ", "'") + "?";
  if (valid.empty()) return {};
  if (valid.size() > most_listed) return "valid: " + join(valid.first(most_listed), ", ", ", ", "") + ", ...";
  return "valid: " + join(valid, ", ", ", ", "");
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string result(text.substr(0, limit));
  std::replace_if(
      result.begin(), result.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  if (text.size() > limit) result += "...";
  return result;
}

}  // namespace pregate
