// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/copy_log.hpp"

#include <algorithm>

namespace pregate::sim {

CopyLog::CopyLog(const ExpertMap& map, const Plan& plan, StackLookups* shared)
    : map_(map), decisions_(map, plan, shared) {}

std::size_t CopyLog::words() const {
  return layers_of_.size() * 2 + counted_.size() * 4 + runs.size() * 8 + copies.size() + run_of_pass.size() +
         misses_of_pass.size();
}

std::uint32_t CopyLog::run_of(const Pass& pass, std::uint32_t body, AccessCounts& counts) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  key_.assign(1, body);
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const CountedDecisions::Copies decided = decisions_.copies(ordinal, pass, counts);
    if (decided.own > 0xFFFF || decided.announced > 0xFFFF) is_usable_ = false;
    experts_copied += std::int64_t{decided.own} + decided.announced;
    key_.push_back(decided.own << 16U | decided.announced);
  }
  const auto [at, is_new] = run_numbers_.emplace(key_, static_cast<std::uint32_t>(runs.size()));
  if (is_new) {
    runs.push_back({body, copies.size(), 0});
    for (std::size_t i = 1; i < key_.size(); ++i)
      copies.push_back(
          {static_cast<std::uint16_t>(key_[i] >> 16U), static_cast<std::uint16_t>(key_[i] & 0xFFFFU)});
  }
  ++runs[at->second].passes;
  return at->second;
}

void CopyLog::count_misses(const Pass& pass, std::uint32_t body, const PassLog& passes) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const LoggedBody& of = passes.bodies[body];
  const std::uint16_t* const load = passes.load_of_layer.data() + of.first_layer;
  if (counted_.size() <= body) counted_.resize(std::size_t{body} + 1);
  Counted& counted = counted_[body];
  if (counted.width == 0) {
    for (std::size_t i = 0; i < of.loads; ++i)
      counted.width = std::max<std::size_t>(counted.width, passes.loads[of.first_load + i].activated);
    counted = {layers_of_.size(), counted.width + 1};
    layers_of_.resize(layers_of_.size() + of.loads * counted.width);
  }
  std::int64_t* const layers = layers_of_.data() + counted.first;
  std::uint32_t all = 0;
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const std::uint32_t missed = decisions_.misses(ordinal, pass.routing);
    ++layers[load[ordinal - first] * counted.width + missed];
    all += missed;
  }
  experts_copied += all;
  misses_of_pass.push_back(all);
}

void CopyLog::add(const Pass& pass, std::uint32_t body, const PassLog& passes) {
  AccessCounts& counts = pass.info.step.phase == trace::Phase::decode ? decode_counts_ : other_counts_;
  decisions_.look_up(pass, counts);
  if (decisions_.announces()) {
    run_of_pass.push_back(run_of(pass, body, counts));
  } else {
    count_misses(pass, body, passes);
  }
}

void CopyLog::finish() {
  for (std::size_t body = 0; body < counted_.size(); ++body) {
    const Counted& of = counted_[body];
    const std::size_t end = body + 1 < counted_.size() ? counted_[body + 1].first : layers_of_.size();
    for (std::size_t i = of.first; i < end; ++i) {
      if (layers_of_[i] == 0) continue;
      const std::size_t place = i - of.first;
      misses.push_back({static_cast<std::uint32_t>(body), static_cast<std::uint32_t>(place / of.width),
                        static_cast<std::uint32_t>(place % of.width), layers_of_[i]});
    }
  }
  counted_ = {};
  layers_of_ = {};
  run_numbers_ = {};
  for (const LayerCopies& each : copies) most_copied = std::max({most_copied, each.misses, each.announced});
}

}  // namespace pregate::sim
