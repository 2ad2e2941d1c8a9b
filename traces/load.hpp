// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pregate::trace {

/// A request as a load has it.
struct LoadRequest {
  std::int64_t arrival_ns = 0;  ///< after the first
  int prompt_tokens = 0;
  int output_tokens = 1;  ///< decode steps
  bool operator==(const LoadRequest&) const = default;
};

inline constexpr std::size_t most_load_requests = 1'000'000;

/// Rows of a CSV with the header arrival_s,prompt_tokens,output_tokens, in the order of arrival; times count
/// from the first row's. InputError with the line for what is not that: other columns, text for a number, a
/// time before the one in front of it, no tokens, more rows or tokens than a trace may have.
std::vector<LoadRequest> parse_load(const std::string& text, const std::string& where);
/// The same of a file of at most 64 MiB.
std::vector<LoadRequest> read_load(const std::string& path);

}  // namespace pregate::trace
