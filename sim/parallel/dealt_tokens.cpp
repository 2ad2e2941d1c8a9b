// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/dealt_tokens.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

constexpr int parts_of(int count, int groups) { return (count + groups - 1) / groups; }

}  // namespace

const StepShape& DealtTokens::shape_of_first(const StepShape& shape) {
  return first_ = shape_of_first(shape, kept_);
}

std::span<const StepShape> DealtTokens::shapes_of_first(std::span<const StepShape> parts) {
  firsts_.clear();
  if (kept_of_parts_.size() < parts.size()) kept_of_parts_.resize(parts.size());
  for (std::size_t part = 0; part < parts.size(); ++part)
    firsts_.push_back(shape_of_first(parts[part], kept_of_parts_[part]));
  return firsts_;
}

StepShape DealtTokens::shape_of_first(const StepShape& shape, std::vector<AlikeSequences>& kept) {
  StepShape of_first = shape;
  const int groups = spec_.data;
  of_first.groups = groups;
  if (groups == 1) return of_first;
  alike_.assign(shape.alike.begin(), shape.alike.end());
  std::stable_sort(alike_.begin(), alike_.end(), [](const AlikeSequences& a, const AlikeSequences& b) {
    return a.position + a.tokens / std::max(1, a.sequences) >
           b.position + b.tokens / std::max(1, b.sequences);
  });
  kept.clear();
  int dealt = 0, tokens = 0, sequences = 0;
  for (const AlikeSequences& alike : alike_) {
    const int own = parts_of(dealt + alike.sequences, groups) - parts_of(dealt, groups);
    dealt += alike.sequences;
    if (own == 0) continue;
    AlikeSequences part = alike;
    part.tokens = alike.tokens / alike.sequences * own;
    part.sequences = own;
    tokens += part.tokens;
    sequences += own;
    kept.push_back(part);
  }
  if (kept.empty()) {
    sequences = parts_of(shape.sequences, groups);
    const std::int64_t all = std::int64_t{shape.tokens} * sequences;
    tokens = static_cast<int>((all + shape.sequences - 1) / std::max(1, shape.sequences));
  }
  if (shape.logit_rows >= 0) of_first.logit_rows = std::min(tokens, parts_of(shape.logit_rows, groups));
  of_first.tokens = tokens;
  of_first.sequences = sequences;
  of_first.alike = kept;
  return of_first;
}

void DealtTokens::deal(const trace::Step& step) {
  sender_.clear();
  int sequence = 0, token = 0;
  const auto add = [&](int tokens) {
    for (int i = 0; i < tokens; ++i, ++token)
      sender_.push_back(
          static_cast<std::uint8_t>(sequence % spec_.data * spec_.tensor + token % spec_.tensor));
    ++sequence;
  };
  if (!step.parts.empty()) {
    for (const trace::SequencePart& part : step.parts) add(part.tokens);
  } else {
    const std::int64_t tokens = step.tokens, sequences = std::max(1, step.sequences);
    for (std::int64_t i = 0; i < sequences; ++i)
      add(static_cast<int>(tokens * (i + 1) / sequences - tokens * i / sequences));
  }
  if (spec_.tokens == TokenExchange::follow) place_ = sender_;
}

int DealtTokens::most_sent() const {
  std::vector<int> sent(static_cast<std::size_t>(spec_.gpus_a_stage()));
  for (const std::uint8_t gpu : sender_) ++sent[gpu];
  return *std::max_element(sent.begin(), sent.end());
}

const ExchangeTotals& DealtTokens::exchanged(std::span<const std::uint16_t> ids, int top_k,
                                             const ExpertOwners& owners, Bytes row, std::size_t first) {
  totals_.clear();
  counts_.assign(owners.experts(), 0);
  const auto width = static_cast<std::size_t>(top_k);
  const std::size_t tokens = std::min(sender_.size() - first, ids.size() / width);
  for (std::size_t token = 0; token < tokens; ++token) {
    for (const std::uint16_t expert : ids.subspan(token * width, width)) {
      if (expert == trace::no_expert) continue;
      const std::span<const std::uint8_t> owner = owners[expert];
      const std::size_t turn = owner.size() == 1 ? 0 : counts_[expert]++ % owner.size();
      totals_.add(sender_[first + token], owner[turn], row);
    }
  }
  return totals_;
}

const ExchangeTotals& DealtTokens::followed(std::span<const std::uint16_t> ids, int top_k,
                                            const ExpertOwners& owners, Bytes row, std::size_t first) {
  totals_.clear();
  returned_.clear();
  const auto width = static_cast<std::size_t>(top_k);
  const std::size_t tokens = std::min(place_.size() - first, ids.size() / width);
  for (std::size_t token = 0; token < tokens; ++token) {
    std::uint8_t& place = place_[first + token];
    const std::size_t from = place;
    bool is_first = true;
    for (const std::uint16_t expert : ids.subspan(token * width, width)) {
      if (expert == trace::no_expert) continue;
      const std::uint8_t owner = owners[expert].front();
      totals_.add(from, owner, row);
      if (is_first) place = owner;
      is_first = false;
      returned_.add(owner, place, row);
    }
  }
  return totals_;
}

const ExchangeTotals& DealtTokens::padded(const ExpertOwners& owners, std::int64_t room, Bytes row) {
  totals_.clear();
  const auto gpus = static_cast<std::size_t>(spec_.gpus_a_stage());
  std::vector<std::int64_t> experts(gpus);
  for (std::size_t expert = 0; expert < owners.experts(); ++expert) ++experts[owners[expert].front()];
  for (std::size_t from = 0; from < gpus; ++from) {
    for (std::size_t to = 0; to < gpus; ++to) totals_.add(from, to, row * (room * experts[to]));
  }
  return totals_;
}

std::int64_t DealtTokens::dropped(std::span<const std::uint16_t> ids, int experts, std::int64_t room) {
  const auto each = static_cast<std::size_t>(experts);
  counts_.assign(static_cast<std::size_t>(spec_.gpus_a_stage()) * each, 0);
  const std::size_t width = sender_.empty() ? 0 : ids.size() / sender_.size();
  std::int64_t lost = 0;
  for (std::size_t token = 0; token < sender_.size(); ++token) {
    for (const std::uint16_t expert : ids.subspan(token * width, width)) {
      if (expert != trace::no_expert && counts_[sender_[token] * each + expert]++ >= room) ++lost;
    }
  }
  return lost;
}

}  // namespace pregate::sim
