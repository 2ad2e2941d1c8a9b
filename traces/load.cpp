// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/load.hpp"

#include <charconv>
#include <cmath>
#include <span>
#include <string_view>

#include "models/error.hpp"
#include "models/files/input_file.hpp"
#include "traces/trace.hpp"
#include "traces/utf8.hpp"

namespace pregate::trace {

namespace {

constexpr std::string_view load_header = "arrival_s,prompt_tokens,output_tokens";
constexpr const char* form = "three numbers a line, as in 12.5,1024,128";
constexpr double most_seconds = 9e6;  // as long as virtual time
constexpr int most_output = 10'000'000;

std::string_view next_cell(std::string_view& line) {
  const std::size_t comma = line.find(',');
  const std::string_view cell = line.substr(0, comma);
  line = comma == std::string_view::npos ? std::string_view() : line.substr(comma + 1);
  return cell;
}

template <class Number>
Number number(std::string_view cell, Number least, Number most, const char* what, const std::string& where) {
  Number value{};
  const auto [end, fault] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (fault != std::errc{} || end != cell.data() + cell.size() || !(value >= least && value <= most)) {
    throw InputError(
        where, std::string(what) + ": '" + printable(std::string(cell), 40) + "' is no number that it can be",
        form);
  }
  return value;
}

LoadRequest parse_row(std::string_view line, double& first_s, bool is_first, const std::string& where) {
  const double arrival = number(next_cell(line), 0.0, 1e18, "arrival_s", where);
  const int prompt = number(next_cell(line), 0, max_step_tokens, "prompt_tokens", where);
  const int output = number(line, 1, most_output, "output_tokens", where);
  if (is_first) first_s = arrival;
  if (arrival < first_s || arrival - first_s > most_seconds) {
    throw InputError(where, "arrival_s: a request arrives before the first, or more than 104 days after it",
                     "rows in the order of arrival, times in seconds");
  }
  return {std::llround((arrival - first_s) * 1e9), prompt, output};
}

}  // namespace

std::vector<LoadRequest> parse_load(const std::string& text, const std::string& where) {
  std::vector<LoadRequest> requests;
  std::string_view rest = without_byte_order_mark(text);
  std::size_t number_of_line = 0;
  double first_s = 0;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string at = where + ", line " + std::to_string(++number_of_line);
    if (number_of_line == 1) {
      if (line != load_header)
        throw InputError(at, "'" + printable(std::string(line), 60) + "' is not the header",
                         "the first line is " + std::string(load_header));
      continue;
    }
    if (line.empty()) continue;
    requests.push_back(parse_row(line, first_s, requests.empty(), at));
    if (requests.size() > 1 && requests.back().arrival_ns < requests[requests.size() - 2].arrival_ns)
      throw InputError(at, "arrives before the request in front of it", "rows in the order of arrival");
    if (requests.size() > most_load_requests)
      throw InputError(at, "more than a million requests", "split the load");
  }
  if (requests.empty()) throw InputError(where, "no requests", form);
  return requests;
}

std::vector<LoadRequest> read_load(const std::string& path) {
  constexpr std::int64_t most_bytes = 64LL << 20;
  const InputFile file(path, "a CSV of requests: " + std::string(load_header));
  if (file.size() > most_bytes) throw InputError(path, "is larger than 64 MiB", "split the load");
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(text)));
  return parse_load(text, path);
}

}  // namespace pregate::trace
