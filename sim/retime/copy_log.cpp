// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/copy_log.hpp"

#include <algorithm>
#include <tuple>

namespace pregate::sim {

CopyLog::CopyLog(const ExpertMap& map, const Plan& plan, StackLookups* shared)
    : map_(map), decisions_(map, plan, shared) {}

std::size_t CopyLog::words() const {
  return misses.size() * 6 + runs.size() * 8 + copies.size() + run_of_pass.size() + misses_of_pass.size();
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
  constexpr std::size_t least_to_merge = 1U << 16U;
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const LoggedBody& of = passes.bodies[body];
  const std::uint16_t* const load = passes.load_of_layer.data() + of.first_layer;
  std::size_t width = 1;
  for (int ordinal = first; ordinal < last; ++ordinal)
    width = std::max<std::size_t>(width, pass.routing.activated_count(ordinal) + 1);
  layers_of_.assign(of.loads * width, 0);
  std::uint32_t all = 0;
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const std::uint32_t missed = decisions_.misses(ordinal, pass.routing);
    ++layers_of_[load[ordinal - first] * width + missed];
    all += missed;
  }
  for (std::size_t i = 0; i < layers_of_.size(); ++i) {
    if (layers_of_[i] == 0) continue;
    misses.push_back(
        {body, static_cast<std::uint32_t>(i / width), static_cast<std::uint32_t>(i % width), layers_of_[i]});
  }
  experts_copied += all;
  misses_of_pass.push_back(all);
  if (misses.size() > std::max(2 * merged_, least_to_merge)) merge_misses();
}

/// Layers of one body, load and number of misses in one entry.
void CopyLog::merge_misses() {
  const auto key = [](const LoggedMisses& of) { return std::tie(of.body, of.load, of.misses); };
  std::sort(misses.begin(), misses.end(),
            [&](const LoggedMisses& a, const LoggedMisses& b) { return key(a) < key(b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < misses.size(); ++i) {
    if (kept > 0 && key(misses[kept - 1]) == key(misses[i])) {
      misses[kept - 1].layers += misses[i].layers;
    } else {
      misses[kept++] = misses[i];
    }
  }
  misses.resize(kept);
  merged_ = kept;
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
  merge_misses();
  run_numbers_ = {};
}

}  // namespace pregate::sim
