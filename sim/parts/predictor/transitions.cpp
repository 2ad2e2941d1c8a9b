// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/transitions.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <string>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

constexpr std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }

/// Adds one to the columns `target` of each of `rows`. Returns the largest count that this led to.
template <class Count>
Count add_ones(std::vector<Count>& counts, std::size_t width, std::span<const std::size_t> rows,
               std::span<const ExpertKey> target, ExpertKey first) {
  Count most = 0;
  for (const std::size_t row : rows) {
    Count* const of_row = counts.data() + row * width;
    for (const ExpertKey key : target) {
      const auto count = static_cast<Count>(of_row[key - first] + 1);
      of_row[key - first] = count;
      most = std::max(most, count);
    }
  }
  return most;
}

/// Of `count` columns from the first one on, the sum over `rows` of their shares.
template <std::size_t count, class Count>
void sum_shares(const Count* first, std::size_t width, std::span<const Transitions::Row> rows, double* into) {
  std::array<double, count> sums{};
  for (const Transitions::Row& row : rows) {
    const Count* const counts = first + row.place * width;
    for (std::size_t i = 0; i < count; ++i)
      sums[i] += static_cast<double>(static_cast<int>(counts[i])) * row.each;
  }
  std::copy(sums.begin(), sums.end(), into);
}

/// Column by column, so that sums stay in registers; each in the order of the rows.
template <class Count>
void sum_all_shares(const std::vector<Count>& counts, std::span<const Transitions::Row> rows,
                    std::vector<double>& scores) {
  constexpr std::size_t block = 16;
  const std::size_t width = scores.size();
  std::size_t column = 0;
  for (; column + block <= width; column += block)
    sum_shares<block>(counts.data() + column, width, rows, scores.data() + column);
  for (; column < width; ++column) sum_shares<1>(counts.data() + column, width, rows, scores.data() + column);
}

}  // namespace

Transitions::Transitions(const ExpertMap& map, int order, int distance, std::int64_t& bytes_left)
    : map_(map), order_(order), distance_(distance), tables_(map.layers().size()) {
  std::vector<std::size_t> rows(tables_.size());
  const std::vector<MoeLayer>& layers = map.layers();
  for (std::size_t ordinal = 0; ordinal + index(distance) < layers.size(); ++ordinal) {
    const MoeLayer &layer = layers[ordinal], &target = layers[ordinal + index(distance)];
    if (target.stack != layer.stack) continue;
    const bool has_before = order_ == 2 && ordinal > 0 && layers[ordinal - 1].stack == layer.stack;
    rows[ordinal] = index(layer.experts) * (has_before ? index(layers[ordinal - 1].experts) : 1);
    tables_[ordinal].width = index(target.experts);
    bytes_left -=
        static_cast<std::int64_t>(rows[ordinal] * (index(target.experts) + 1) * sizeof(std::uint32_t));
  }
  if (bytes_left < 0) {
    throw InputError(
        "policy.lookahead.order",
        "tables of order " + std::to_string(order) + " of so many experts would take more than 2 GiB",
        order == 2 ? "set it to 1" : "look fewer MoE layers ahead");
  }
  for (std::size_t ordinal = 0; ordinal < tables_.size(); ++ordinal) {
    tables_[ordinal].counts = std::vector<std::uint8_t>(rows[ordinal] * tables_[ordinal].width);
    tables_[ordinal].sums.resize(rows[ordinal]);
  }
}

void Transitions::find_rows(int ordinal, Keys before, Keys activated) {
  rows_.clear();
  const Table& table = tables_[index(ordinal)];
  if (table.width == 0) return;
  const MoeLayer& layer = map_.layers()[index(ordinal)];
  const auto experts = index(layer.experts);
  const bool has_before = table.sums.size() > experts;
  if (!has_before) {
    for (const ExpertKey key : activated) rows_.push_back(key - layer.first_key);
    return;
  }
  const ExpertKey first_before = map_.layers()[index(ordinal - 1)].first_key;
  for (const ExpertKey earlier : before) {
    const std::size_t rows = (earlier - first_before) * experts;
    for (const ExpertKey key : activated) rows_.push_back(rows + (key - layer.first_key));
  }
}

void Transitions::expect(int ordinal, Keys before, Keys activated) {
  constexpr std::size_t line = 64;
  const Table& table = tables_[index(ordinal)];
  find_rows(ordinal, before, activated);
  std::visit(
      [&](const auto& counts) {
        const std::size_t bytes = table.width * sizeof(counts[0]);
        for (const std::size_t row : rows_) {
          const auto* const first = reinterpret_cast<const std::byte*>(counts.data() + row * table.width);
          for (std::size_t at = 0; at < bytes; at += line) __builtin_prefetch(first + at);
        }
      },
      table.counts);
}

void Transitions::learn(int ordinal, Keys before, Keys activated, Keys target) {
  Table& table = tables_[index(ordinal)];
  if (table.width == 0) return;
  find_rows(ordinal, before, activated);
  const ExpertKey first = map_.layers()[index(ordinal + distance_)].first_key;
  for (const std::size_t row : rows_) table.sums[row] += static_cast<std::uint32_t>(target.size());
  // Rows and keys are distinct: a count grows by one at most, and no table is left with a full one.
  if (auto* const bytes = std::get_if<std::vector<std::uint8_t>>(&table.counts)) {
    if (add_ones(*bytes, table.width, rows_, target, first) == std::numeric_limits<std::uint8_t>::max())
      table.counts = std::vector<std::uint16_t>(bytes->begin(), bytes->end());
  } else if (auto* const pairs = std::get_if<std::vector<std::uint16_t>>(&table.counts)) {
    if (add_ones(*pairs, table.width, rows_, target, first) == std::numeric_limits<std::uint16_t>::max())
      table.counts = std::vector<std::int32_t>(pairs->begin(), pairs->end());
  } else {
    add_ones(std::get<std::vector<std::int32_t>>(table.counts), table.width, rows_, target, first);
  }
}

std::span<const double> Transitions::counts(int ordinal, int expert) {
  const Table& table = tables_[index(ordinal)];
  scores_.resize(table.width);
  std::visit(
      [&](const auto& counts) {
        std::copy_n(counts.begin() + static_cast<std::ptrdiff_t>(index(expert) * table.width), table.width,
                    scores_.begin());
      },
      table.counts);
  return scores_;
}

std::span<const double> Transitions::scores(int ordinal, Keys before, Keys activated) {
  const Table& table = tables_[index(ordinal)];
  scores_.assign(table.width, 0);
  find_rows(ordinal, before, activated);
  known_.clear();
  std::visit(
      [&](const auto& counts) {
        for (const std::size_t row : rows_) {
          if (table.sums[row] == 0) continue;
          known_.push_back({row, 1 / static_cast<double>(table.sums[row])});
        }
        sum_all_shares(counts, known_, scores_);
      },
      table.counts);
  return scores_;
}

}  // namespace pregate::sim
