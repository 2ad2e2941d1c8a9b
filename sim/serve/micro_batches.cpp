// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/micro_batches.hpp"

#include <algorithm>
#include <cstddef>

namespace pregate::sim {

namespace {

/// Of what all of a row's sequences have, that of sequences [begin, end).
int share(int all, int begin, int end, int sequences) {
  const auto before = [&](int sequence) {
    return static_cast<int>(std::int64_t{all} * sequence / std::max(1, sequences));
  };
  return before(end) - before(begin);
}

Row part_of(const Row& row, int begin, int end) {
  Row part = row;
  part.sequences = end - begin;
  part.tokens = share(row.tokens, begin, end, row.sequences);
  part.drafted = share(row.drafted, begin, end, row.sequences);
  part.accepted = share(row.accepted, begin, end, row.sequences);
  part.logits = share(row.logits, begin, end, row.sequences);
  return part;
}

}  // namespace

void MicroBatches::cut(const ServedPass& pass, const trace::Step& step, const StepShape& whole) {
  shapes_.clear();
  const int of_first = (whole.sequences + groups_ - 1) / groups_;  // of the groups
  const int parts = std::min(most_, of_first);
  if (parts <= 1) return;
  routings_.reserve(static_cast<std::size_t>(most_));
  alike_.resize(static_cast<std::size_t>(most_));
  std::size_t row = 0;
  int in_row = 0, first_token = 0;
  for (int i = 0; i < parts; ++i) {
    const auto part = static_cast<std::size_t>(i);
    const int before = share(of_first, 0, i, parts) * groups_;
    int wanted = std::min(share(of_first, i, i + 1, parts) * groups_, whole.sequences - before);
    rows_.clear();
    while (wanted > 0) {
      const Row& from = pass.rows[row];
      const int taken = std::min(wanted, from.sequences - in_row);
      rows_.push_back(part_of(from, in_row, in_row + taken));
      wanted -= taken;
      in_row += taken;
      if (in_row < from.sequences) continue;
      ++row;
      in_row = 0;
    }
    StepShape shape = shape_of(rows_, whole.model_stack);
    shape.phase = whole.phase;
    if (pass.own_costs && rows_.size() > 1) {
      group_alike(rows_, alike_[part]);
      shape.alike = alike_[part];
    }
    if (i + 1 == parts) shape.drafting = whole.drafting;
    if (routings_.size() == part) routings_.emplace_back(map_);
    load(step, part, first_token, shape.tokens);
    first_token += shape.tokens;
    shapes_.push_back(shape);
  }
}

/// Layer by layer, token by token, as Step::experts.
void MicroBatches::load(const trace::Step& step, std::size_t part, int first_token, int tokens) {
  trace::Step of_part = step;
  experts_.clear();
  const auto [first, last] = map_.ordinals(step.stack);
  std::size_t layer = 0;
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const auto top_k = static_cast<std::size_t>(map_.layers()[static_cast<std::size_t>(ordinal)].top_k);
    const auto ids = step.experts.subspan(layer + static_cast<std::size_t>(first_token) * top_k,
                                          static_cast<std::size_t>(tokens) * top_k);
    experts_.insert(experts_.end(), ids.begin(), ids.end());
    layer += static_cast<std::size_t>(step.tokens) * top_k;
  }
  of_part.tokens = tokens;
  of_part.experts = experts_;
  of_part.predicted = {};
  of_part.weights = {};
  of_part.parts = {};
  routings_[part].load(of_part);
}

}  // namespace pregate::sim
