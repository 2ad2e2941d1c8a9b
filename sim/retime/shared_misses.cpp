// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/shared_misses.hpp"

#include <algorithm>

#include "sim/retime/lane_clones.hpp"

namespace pregate::sim {

SharedMisses::SharedMisses(const ExpertMap& map, std::span<const Plan* const> plans)
    : map_(map),
      plans_(plans.size()),
      stride_((plans.size() + block - 1) / block * block),
      hits_(stride_),
      hits_of_pass_(plans.size()) {
  std::vector<std::int64_t> capacities;
  for (std::size_t layer = 0; layer < map.layers().size(); ++layer) {
    capacities.clear();
    for (const Plan* const plan : plans) {
      const std::vector<std::int64_t>& of = plan->geometry.capacity;
      capacities.push_back(of.size() == 1 ? of.front() : of[layer]);
    }
    table_of_layer_.push_back(table_of(capacities));
  }
}

std::size_t SharedMisses::table_of(const std::vector<std::int64_t>& capacities) {
  const auto same = std::find_if(tables_.begin(), tables_.end(),
                                 [&](const Table& table) { return table.capacities == capacities; });
  if (same != tables_.end()) return static_cast<std::size_t>(same - tables_.begin());
  Table table{.capacities = capacities, .rows = {}, .farthest = 0};
  const std::int64_t most = *std::max_element(capacities.begin(), capacities.end());
  table.farthest = static_cast<std::size_t>(most) + 1;
  table.rows.resize((table.farthest + 1) * stride_);
  for (std::size_t distance = 0; distance < table.farthest; ++distance) {
    for (std::size_t plan = 0; plan < plans_; ++plan)
      table.rows[distance * stride_ + plan] =
          static_cast<std::int64_t>(distance) <= capacities[plan] ? Hits{1} : Hits{0};
  }
  tables_.push_back(std::move(table));
  return tables_.size() - 1;
}

SharedMisses::Counted& SharedMisses::counted(std::uint32_t body, const PassLog& passes) {
  if (counted_.size() <= body) {
    counted_.resize(std::size_t{body} + 1);
    activated_.resize(std::size_t{body} + 1);
  }
  Counted& counted = counted_[body];
  if (counted.width > 0) return counted;
  const LoggedBody& of = passes.bodies[body];
  std::size_t most = 0;
  for (std::size_t i = 0; i < of.loads; ++i) {
    activated_[body].push_back(passes.loads[of.first_load + i].activated);
    most = std::max<std::size_t>(most, activated_[body].back());
  }
  counted = {layers_.size(), most + 1, of.loads};
  layers_.resize(layers_.size() + of.loads * plans_ * counted.width);
  return counted;
}

PREGATE_LANE_CLONES
void SharedMisses::add_layer(const Table& table, std::span<const std::uint32_t> distances,
                             std::int64_t* layers, std::size_t width) {
  Hits* const hits = hits_.data();
  const std::size_t stride = stride_, plans = plans_;
  std::fill_n(hits, stride, Hits{0});
  for (const std::uint32_t distance : distances) {
    const Hits* const row = table.rows.data() + std::min<std::size_t>(distance, table.farthest) * stride;
    for (std::size_t first = 0; first < stride; first += block)
      for (std::size_t i = 0; i < block; ++i)
        hits[first + i] = static_cast<Hits>(hits[first + i] + row[first + i]);
  }
  std::uint32_t* const of_pass = hits_of_pass_.data();
  for (std::size_t plan = 0; plan < plans; ++plan) {
    of_pass[plan] += hits[plan];
    ++layers[plan * width + hits[plan]];
  }
}

std::span<const std::uint32_t> SharedMisses::add(const Pass& pass, std::uint32_t body, const PassLog& passes,
                                                 const StackLookups& lookups) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const Counted& of = counted(body, passes);
  const std::uint16_t* const load = passes.load_of_layer.data() + passes.bodies[body].first_layer;
  std::fill(hits_of_pass_.begin(), hits_of_pass_.end(), 0U);
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const auto layer = static_cast<std::size_t>(ordinal - first);
    add_layer(tables_[table_of_layer_[static_cast<std::size_t>(ordinal)]], lookups.distances(ordinal),
              layers_.data() + of.first + load[layer] * plans_ * of.width, of.width);
  }
  return hits_of_pass_;
}

std::vector<LoggedMisses> SharedMisses::misses_of(std::size_t plan) const {
  std::vector<LoggedMisses> all;
  for (std::size_t body = 0; body < counted_.size(); ++body) {
    const Counted& of = counted_[body];
    for (std::size_t load = 0; load < of.loads; ++load) {
      const std::int64_t* const layers = layers_.data() + of.first + (load * plans_ + plan) * of.width;
      const std::uint32_t activated = activated_[body][load];
      for (std::uint32_t misses = 0; misses <= activated; ++misses) {
        if (layers[activated - misses] == 0) continue;
        all.push_back({static_cast<std::uint32_t>(body), static_cast<std::uint32_t>(load), misses,
                       layers[activated - misses]});
      }
    }
  }
  return all;
}

}  // namespace pregate::sim
