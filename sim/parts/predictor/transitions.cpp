// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/transitions.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

constexpr std::size_t as_size(int ordinal) { return static_cast<std::size_t>(ordinal); }

/// To each of so many; the largest sum, none of which overflows.
std::uint8_t add(std::uint8_t* __restrict counts, const std::uint8_t* __restrict added, std::size_t width) {
  std::uint8_t most = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const auto sum = static_cast<std::uint8_t>(counts[i] + added[i]);
    counts[i] = sum;
    most = most < sum ? sum : most;
  }
  return most;
}

}  // namespace

Transitions::Transitions(const ExpertMap& map, int order, int distance, std::int64_t& bytes_left)
    : map_(map), order_(order), distance_(distance), tables_(map.layers().size()) {
  std::vector<std::size_t> rows(tables_.size());
  const std::vector<MoeLayer>& layers = map.layers();
  for (std::size_t ordinal = 0; ordinal + as_size(distance) < layers.size(); ++ordinal) {
    const MoeLayer &layer = layers[ordinal], &target = layers[ordinal + as_size(distance)];
    if (target.stack != layer.stack) continue;
    const bool has_before = order_ == 2 && ordinal > 0 && layers[ordinal - 1].stack == layer.stack;
    rows[ordinal] = as_size(layer.experts) * (has_before ? as_size(layers[ordinal - 1].experts) : 1);
    tables_[ordinal].width = as_size(target.experts);
    bytes_left -=
        static_cast<std::int64_t>(rows[ordinal] * (as_size(target.experts) + 1) * sizeof(std::int32_t));
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
  const Table& table = tables_[as_size(ordinal)];
  if (table.width == 0) return;
  const MoeLayer& layer = map_.layers()[as_size(ordinal)];
  const auto experts = as_size(layer.experts);
  const bool has_before = table.rows.size() > experts;
  if (!has_before) {
    for (const ExpertKey key : activated) rows_.push_back(key - layer.first_key);
    return;
  }
  const ExpertKey first_before = map_.layers()[as_size(ordinal - 1)].first_key;
  for (const ExpertKey earlier : before) {
    const std::size_t rows = (earlier - first_before) * experts;
    for (const ExpertKey key : activated) rows_.push_back(rows + (key - layer.first_key));
  }
}

/// Keys are distinct: a count grows by one at most, and no byte is left full. All of a row's bytes are added
/// to at once, which few of them being changed costs less than finding those.
void Transitions::Table::learn(std::size_t row, Keys target, ExpertKey first, const std::uint8_t* added) {
  Row& of = rows[row];
  of.sum += static_cast<std::uint32_t>(target.size());
  if (of.wide != 0) {
    std::int32_t* const counts = wide.data() + (of.wide - 1) * width;
    for (const ExpertKey key : target) ++counts[key - first];
    return;
  }
  std::uint8_t* const counts = bytes.data() + row * width;
  const std::uint8_t most = add(counts, added, width);
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
  Table& table = tables_[as_size(ordinal)];
  if (table.width == 0) return;
  find_rows(ordinal, before, activated);
  const ExpertKey first = map_.layers()[as_size(ordinal + distance_)].first_key;
  added_.assign(table.width, 0);
  for (const ExpertKey key : target) added_[key - first] = 1;
  for (const std::size_t row : rows_) table.learn(row, target, first, added_.data());
}

std::span<const double> Transitions::counts(int ordinal, int expert) {
  const Table& table = tables_[as_size(ordinal)];
  gathered_.resize(table.width);
  if (table.width > 0) table.copy(as_size(expert), gathered_.data());
  scores_.assign(gathered_.begin(), gathered_.end());
  return scores_;
}

std::span<const double> Transitions::scores(int ordinal, Keys before, Keys activated) {
  const Table& table = tables_[as_size(ordinal)];
  scores_.resize(table.width);
  find_rows(ordinal, before, activated);
  counted_.clear();
  for (const std::size_t row : rows_) {
    const Row& of = table.rows[row];
    if (of.sum == 0) continue;
    const std::int32_t* const wide = of.wide != 0 ? table.wide.data() + (of.wide - 1) * table.width : nullptr;
    const std::uint8_t* const bytes = table.bytes.data() + row * table.width;
    __builtin_prefetch(bytes);
    counted_.push_back({bytes, wide, 1 / static_cast<double>(of.sum)});
  }
  sum_shares(counted_, table.width, scores_.data(), gathered_);
  return scores_;
}

}  // namespace pregate::sim
