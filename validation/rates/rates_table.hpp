// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pregate::validation {

/// What a measured figure is of, as the program computes it.
enum class RateMetric { decode_tokens_per_s, tokens_per_s, prompt_tokens_per_s, ttft_ms, tpot_ms };
const char* to_string(RateMetric metric);

/// A measured figure and the settings that it was measured with.
struct MeasuredRate {
  std::string where;                                          ///< "data/rates.csv:3", for messages
  std::string label;                                          ///< the same without folders
  std::vector<std::pair<std::string, std::string>> settings;  ///< column, text; those with a text, but `set`
  std::vector<std::string> set;                               ///< "policy.placement.count=8"
  RateMetric metric = RateMetric::decode_tokens_per_s;
  double value = 0;  ///< tokens/s or ms, above 0
  std::string note;
};

/// Reads comma-separated values with a header: `metric` and `value` are needed, `set` holds pairs separated
/// by semicolons, `note` is free, and every other column is one of `settings` (options of pregate simulate).
/// Lines that begin with '#' and empty ones are left out. InputError, with the line, for whatever is not so:
/// at most 100 rows, 64 columns and 4096 bytes a cell.
std::vector<MeasuredRate> parse_rates(std::string_view text, const std::string& where,
                                      const std::vector<std::string>& settings);

}  // namespace pregate::validation
