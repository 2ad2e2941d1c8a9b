// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/copy_log.hpp"

#include <algorithm>

namespace pregate::sim {

CopyLog::CopyLog(const ExpertMap& map, const Plan& plan, StackLookups* shared)
    : map_(map), decisions_(map, plan, shared) {}

std::size_t CopyLog::words() const {
  return layers_of_.size() * 2 + counted_.size() * 4 + runs.size() * 12 + copies.size() + run_of_pass.size() +
         misses_of_pass.size();
}

std::uint32_t CopyLog::run_of(const Pass& pass, std::uint32_t body) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  copies_now_.clear();
  std::int64_t experts = 0;
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const CountedDecisions::Copies decided = decisions_.copies(ordinal);
    if (decided.own > 0xFFFF || decided.announced > 0xFFFF) is_usable_ = false;
    experts += std::int64_t{decided.own} + decided.announced;
    copies_now_.push_back(
        {static_cast<std::uint16_t>(decided.own), static_cast<std::uint16_t>(decided.announced)});
  }
  const std::uint32_t run = run_with(body);
  experts_copied += experts;
  ++runs[run].passes;
  runs[run].experts = experts;
  return run;
}

/// The run of that body whose layers copy what those of this pass do.
std::uint32_t CopyLog::run_with(std::uint32_t body) {
  std::uint64_t hash = 0x9E3779B97F4A7C15U ^ body;
  for (const LayerCopies& each : copies_now_) {
    hash = (hash ^ (std::uint32_t{each.misses} << 16U | each.announced)) * 0xFF51AFD7ED558CCDU;
    hash ^= hash >> 32U;
  }
  make_room_for_run();
  const std::size_t mask = run_places_.size() - 1;
  std::size_t place = hash & mask;
  for (; run_places_[place] != 0; place = (place + 1) & mask) {
    const std::uint32_t run = run_places_[place] - 1;
    if (run_hashes_[run] == hash && runs[run].body == body &&
        std::equal(copies_now_.begin(), copies_now_.end(),
                   copies.begin() + static_cast<std::ptrdiff_t>(runs[run].first_layer)))
      return run;
  }
  const auto run = static_cast<std::uint32_t>(runs.size());
  run_places_[place] = run + 1;
  run_hashes_.push_back(hash);
  runs.push_back({body, copies.size()});
  copies.insert(copies.end(), copies_now_.begin(), copies_now_.end());
  return run;
}

/// Half of the table stays free.
void CopyLog::make_room_for_run() {
  constexpr std::size_t least = 1024;
  if (2 * (runs.size() + 1) <= run_places_.size()) return;
  run_places_.assign(std::max(least, 2 * run_places_.size()), 0);
  const std::size_t mask = run_places_.size() - 1;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    std::size_t place = run_hashes_[run] & mask;
    while (run_places_[place] != 0) place = (place + 1) & mask;
    run_places_[place] = static_cast<std::uint32_t>(run + 1);
  }
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
    run_of_pass.push_back(run_of(pass, body));
  } else {
    count_misses(pass, body, passes);
  }
}

void CopyLog::add_counted(const Pass& pass, std::uint32_t hits, std::uint32_t activated) {
  AccessCounts& counts = pass.info.step.phase == trace::Phase::decode ? decode_counts_ : other_counts_;
  counts.hits += hits;
  counts.misses += activated - hits;
  experts_copied += activated - hits;
  misses_of_pass.push_back(activated - hits);
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
  run_places_ = {};
  run_hashes_ = {};
  for (const LayerCopies& each : copies) most_copied = std::max({most_copied, each.misses, each.announced});
}

}  // namespace pregate::sim
