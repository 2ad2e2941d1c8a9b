// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/rates/rates_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "models/error.hpp"

namespace pregate::validation {

namespace {

constexpr std::size_t most_rows = 100, most_columns = 64, longest_cell = 4096;

constexpr std::array metrics = {RateMetric::decode_tokens_per_s, RateMetric::tokens_per_s,
                                RateMetric::prompt_tokens_per_s, RateMetric::ttft_ms, RateMetric::tpot_ms};

std::string trimmed(std::string text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), is_blank));
  return text;
}

/// A cell may stand in double quotes, and then hold commas, and double quotes as two.
std::vector<std::string> cells_of(std::string_view line, const std::string& where) {
  std::vector<std::string> cells;
  std::string cell;
  bool is_quoted = false, was_quoted = false;
  const auto end_cell = [&] {
    if (cell.size() > longest_cell)
      throw InputError(where, "a cell is longer than " + std::to_string(longest_cell) + " bytes");
    cells.push_back(was_quoted ? cell : trimmed(cell));
    if (cells.size() > most_columns)
      throw InputError(where, "more than " + std::to_string(most_columns) + " columns");
    cell.clear();
    was_quoted = false;
  };
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F)
      throw InputError(where, "holds a control character", "one row a line, in plain text");
    if (is_quoted) {
      if (c != '"') {
        cell += c;
      } else if (i + 1 < line.size() && line[i + 1] == '"') {
        cell += line[++i];
      } else {
        is_quoted = false;
      }
    } else if (c == ',') {
      end_cell();
    } else if (c == '"' && trimmed(cell).empty() && !was_quoted) {
      cell.clear();
      is_quoted = was_quoted = true;
    } else if (was_quoted && (c == ' ' || c == '\t')) {
      continue;
    } else if (was_quoted || c == '"') {
      throw InputError(where, "a quote within a cell",
                       "a cell with quotes in it is quoted, and has each as two");
    } else {
      cell += c;
    }
  }
  if (is_quoted) throw InputError(where, "a quote that does not end", "a cell ends on its line");
  end_cell();
  return cells;
}

double number(const std::string& text, const std::string& where) {
  double value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || value <= 0 ||
      value > 1e9) {
    throw InputError(where, "value: '" + printable(text) + "' is not a number above 0",
                     "as measured, in the unit that the metric names, with a point: 36.7");
  }
  return value;
}

RateMetric metric_of(const std::string& text, const std::string& where) {
  std::vector<std::string> names;
  for (const RateMetric metric : metrics) {
    if (text == to_string(metric)) return metric;
    names.emplace_back(to_string(metric));
  }
  throw InputError(where, "metric: '" + printable(text) + "' is not known", suggest(text, names));
}

std::vector<std::string> pairs_of(const std::string& text, const std::string& where) {
  std::vector<std::string> pairs;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(';', begin), text.size());
    const std::string pair = trimmed(text.substr(begin, end - begin));
    if (pair.empty())
      throw InputError(where, "set: an empty pair", "pairs are separated by single semicolons");
    pairs.push_back(pair);
    begin = end + 1;
  }
  return pairs;
}

void check_header(const std::vector<std::string>& header, const std::string& where,
                  const std::vector<std::string>& settings) {
  std::vector<std::string> valid = {"metric", "value", "set", "note"};
  valid.insert(valid.end(), settings.begin(), settings.end());
  const bool is_other = header.size() == 1 && header[0].find_first_of(";\t") != std::string::npos;
  if (is_other) throw InputError(where, "the header has no comma", "columns are separated by commas");
  std::set<std::string> seen;
  for (const std::string& column : header) {
    if (std::find(valid.begin(), valid.end(), column) == valid.end()) {
      const bool is_given = column == "machine" || column == "host" || column == "software";
      throw InputError(where, "no column is named '" + printable(column) + "'",
                       is_given ? "all rows are of one machine: it is given as --" + column
                                : suggest(column, valid) + "; the first line names the columns");
    }
    if (!seen.insert(column).second)
      throw InputError(where, "the column '" + printable(column) + "' is there twice");
  }
  for (const char* needed : {"metric", "value"}) {
    if (!seen.contains(needed))
      throw InputError(where, "the column '" + std::string(needed) + "' is missing",
                       "the first line names the columns, e.g. model,policy,metric,value");
  }
}

MeasuredRate row_of(const std::vector<std::string>& header, const std::vector<std::string>& cells,
                    const std::string& where) {
  if (cells.size() != header.size()) {
    throw InputError(
        where, std::to_string(cells.size()) + " cells, but the header has " + std::to_string(header.size()),
        "a cell with a comma in it is quoted");
  }
  MeasuredRate row;
  row.where = where;
  row.label = where.substr(where.find_last_of('/') + 1);
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (header[i] == "metric") {
      row.metric = metric_of(cells[i], where);
    } else if (header[i] == "value") {
      row.value = number(cells[i], where);
    } else if (header[i] == "note") {
      row.note = cells[i];
    } else if (cells[i].empty()) {
      continue;
    } else if (header[i] == "set") {
      row.set = pairs_of(cells[i], where);
    } else {
      row.settings.emplace_back(header[i], cells[i]);
    }
  }
  return row;
}

}  // namespace

const char* to_string(RateMetric metric) {
  switch (metric) {
    case RateMetric::decode_tokens_per_s:
      return "decode_tokens_per_s";
    case RateMetric::tokens_per_s:
      return "tokens_per_s";
    case RateMetric::prompt_tokens_per_s:
      return "prompt_tokens_per_s";
    case RateMetric::ttft_ms:
      return "ttft_ms";
    case RateMetric::tpot_ms:
      return "tpot_ms";
  }
  return "";
}

std::vector<MeasuredRate> parse_rates(std::string_view text, const std::string& where,
                                      const std::vector<std::string>& settings) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  std::vector<std::string> header;
  std::vector<MeasuredRate> rows;
  for (int line_number = 1; !text.empty(); ++line_number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with('#') || trimmed(std::string(line)).empty()) continue;
    const std::string at = where + ":" + std::to_string(line_number);
    const std::vector<std::string> cells = cells_of(line, at);
    if (header.empty()) {
      header = cells;
      check_header(header, at, settings);
      continue;
    }
    rows.push_back(row_of(header, cells, at));
    if (rows.size() > most_rows)
      throw InputError(at, "more than " + std::to_string(most_rows) + " rows",
                       "a handful of rows fixes what rates can fix");
  }
  if (rows.empty())
    throw InputError(where, "holds no rows", "a header, e.g. model,policy,metric,value, and a row a figure");
  return rows;
}

}  // namespace pregate::validation
