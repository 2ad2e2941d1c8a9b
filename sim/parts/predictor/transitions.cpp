// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/transitions.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

constexpr std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }

// Also compiled for CPUs that take four doubles at a time. Products and sums are rounded apart in either, so
// that both give the same to the bit. Not with sanitizers, which cannot choose a function before they begin.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define PREGATE_FOR_WIDER_CPUS __attribute__((target_clones("avx2", "default")))
#else
#define PREGATE_FOR_WIDER_CPUS
#endif

/// Of each column the sum over rows of their shares, in the order of the rows: column by column, so that sums
/// stay in registers.
PREGATE_FOR_WIDER_CPUS void sum_shares(const std::int32_t* counts, std::size_t width, const double* each,
                                       std::size_t rows, double* scores) {
  constexpr std::size_t block = 16;
  std::size_t column = 0;
  for (; column + block <= width; column += block) {
    std::array<double, block> sums{};
    for (std::size_t row = 0; row < rows; ++row) {
      const std::int32_t* const of_row = counts + row * width + column;
      for (std::size_t i = 0; i < block; ++i) sums[i] += static_cast<double>(of_row[i]) * each[row];
    }
    std::copy(sums.begin(), sums.end(), scores + column);
  }
  for (; column < width; ++column) {
    double sum = 0;
    for (std::size_t row = 0; row < rows; ++row)
      sum += static_cast<double>(counts[row * width + column]) * each[row];
    scores[column] = sum;
  }
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
        static_cast<std::int64_t>(rows[ordinal] * (index(target.experts) + 1) * sizeof(std::int32_t));
  }
  if (bytes_left < 0) {
    throw InputError(
        "policy.lookahead.order",
        "tables of order " + std::to_string(order) + " of so many experts would take more than 2 GiB",
        order == 2 ? "set it to 1" : "look fewer MoE layers ahead");
  }
  for (std::size_t ordinal = 0; ordinal < tables_.size(); ++ordinal) {
    tables_[ordinal].bytes.resize(rows[ordinal] * tables_[ordinal].width);
    tables_[ordinal].rows.resize(rows[ordinal]);
  }
}

void Transitions::find_rows(int ordinal, Keys before, Keys activated) {
  rows_.clear();
  const Table& table = tables_[index(ordinal)];
  if (table.width == 0) return;
  const MoeLayer& layer = map_.layers()[index(ordinal)];
  const auto experts = index(layer.experts);
  const bool has_before = table.rows.size() > experts;
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

/// Keys are distinct: a count grows by one at most, and no byte is left full.
void Transitions::Table::learn(std::size_t row, Keys target, ExpertKey first) {
  Row& of = rows[row];
  of.sum += static_cast<std::uint32_t>(target.size());
  if (of.wide != 0) {
    std::int32_t* const counts = wide.data() + (of.wide - 1) * width;
    for (const ExpertKey key : target) ++counts[key - first];
    return;
  }
  std::uint8_t* const counts = bytes.data() + row * width;
  std::uint8_t most = 0;
  for (const ExpertKey key : target) most = std::max(most, ++counts[key - first]);
  if (most < std::numeric_limits<std::uint8_t>::max()) return;
  wide.insert(wide.end(), counts, counts + width);
  of.wide = static_cast<std::uint32_t>(wide.size() / width);
}

void Transitions::Table::copy(std::size_t row, std::int32_t* into) const {
  const Row& of = rows[row];
  if (of.wide != 0) {
    std::copy_n(wide.data() + (of.wide - 1) * width, width, into);
  } else {
    std::copy_n(bytes.data() + row * width, width, into);
  }
}

void Transitions::learn(int ordinal, Keys before, Keys activated, Keys target) {
  Table& table = tables_[index(ordinal)];
  if (table.width == 0) return;
  find_rows(ordinal, before, activated);
  const ExpertKey first = map_.layers()[index(ordinal + distance_)].first_key;
  for (const std::size_t row : rows_) table.learn(row, target, first);
}

std::span<const double> Transitions::counts(int ordinal, int expert) {
  const Table& table = tables_[index(ordinal)];
  gathered_.resize(table.width);
  if (table.width > 0) table.copy(index(expert), gathered_.data());
  scores_.assign(gathered_.begin(), gathered_.end());
  return scores_;
}

std::span<const double> Transitions::scores(int ordinal, Keys before, Keys activated) {
  constexpr std::size_t ahead = 8;  // rows, while whose memory is fetched others are copied
  const Table& table = tables_[index(ordinal)];
  scores_.assign(table.width, 0);
  find_rows(ordinal, before, activated);
  each_.clear();
  gathered_.resize(rows_.size() * table.width);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (i + ahead < rows_.size()) __builtin_prefetch(table.bytes.data() + rows_[i + ahead] * table.width);
    const std::uint32_t sum = table.rows[rows_[i]].sum;
    if (sum == 0) continue;
    table.copy(rows_[i], gathered_.data() + each_.size() * table.width);
    each_.push_back(1 / static_cast<double>(sum));
  }
  sum_shares(gathered_.data(), table.width, each_.data(), each_.size(), scores_.data());
  return scores_;
}

}  // namespace pregate::sim
