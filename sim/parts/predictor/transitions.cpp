// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/transitions.hpp"

#include <algorithm>
#include <string>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

constexpr std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }

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
    bytes_left -= static_cast<std::int64_t>(rows[ordinal] * (index(target.experts) + 1) * sizeof(float));
  }
  if (bytes_left < 0) {
    throw InputError(
        "policy.lookahead.order",
        "tables of order " + std::to_string(order) + " of so many experts would take more than 2 GiB",
        order == 2 ? "set it to 1" : "look fewer MoE layers ahead");
  }
  for (std::size_t ordinal = 0; ordinal < tables_.size(); ++ordinal) {
    tables_[ordinal].counts.resize(rows[ordinal] * tables_[ordinal].width);
    tables_[ordinal].sums.resize(rows[ordinal]);
  }
}

template <class Use>
void Transitions::each_row(int ordinal, Keys before, Keys activated, const Use& use) {
  Table& table = tables_[index(ordinal)];
  if (table.width == 0) return;
  const MoeLayer& layer = map_.layers()[index(ordinal)];
  const auto experts = index(layer.experts);
  const bool has_before = table.sums.size() > experts;
  if (!has_before) {
    for (const ExpertKey key : activated) use(table, key - layer.first_key);
    return;
  }
  const ExpertKey first_before = map_.layers()[index(ordinal - 1)].first_key;
  for (const ExpertKey earlier : before) {
    const std::size_t rows = (earlier - first_before) * experts;
    for (const ExpertKey key : activated) use(table, rows + (key - layer.first_key));
  }
}

void Transitions::learn(int ordinal, Keys before, Keys activated, Keys target) {
  if (tables_[index(ordinal)].width == 0) return;
  const ExpertKey first = map_.layers()[index(ordinal + distance_)].first_key;
  each_row(ordinal, before, activated, [&](Table& table, std::size_t row) {
    float* const counts = table.counts.data() + row * table.width;
    for (const ExpertKey key : target) ++counts[key - first];
    table.sums[row] += static_cast<float>(target.size());
  });
}

std::span<const float> Transitions::counts(int ordinal, int expert) const {
  const Table& table = tables_[index(ordinal)];
  return {table.counts.data() + index(expert) * table.width, table.width};
}

std::span<const double> Transitions::scores(int ordinal, Keys before, Keys activated) {
  scores_.assign(tables_[index(ordinal)].width, 0);
  each_row(ordinal, before, activated, [&](const Table& table, std::size_t row) {
    const double sum = static_cast<double>(table.sums[row]);
    if (sum <= 0) return;
    const float* const counts = table.counts.data() + row * table.width;
    const double each = 1 / sum;
    double* const scores = scores_.data();
    for (std::size_t i = 0; i < table.width; ++i) scores[i] += static_cast<double>(counts[i]) * each;
  });
  return scores_;
}

}  // namespace pregate::sim
