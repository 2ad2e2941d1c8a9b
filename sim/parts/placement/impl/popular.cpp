// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "models/error.hpp"
#include "models/table_reader.hpp"
#include "sim/parts/placement/placement.hpp"
#include "sim/workload/activation_profile.hpp"

namespace pregate::sim {

namespace {

struct Popular {
  std::int64_t count = 0;
  std::string profile;          ///< file of another trace; empty: this one
  std::optional<double> share;  ///< of this trace's steps, from the first on
};

PartParameters popular_parameters() {
  Fields<Popular> fields;
  fields.add("count", &Popular::count, counted_help, pregate::Range{0, 1e8, "from 0 to 100000000"}).needed();
  Field profile;
  profile.key = profile.shown = profile.json = "profile";
  profile.help = "file of another trace, whose most activated experts they are; without it this one's";
  fields.add_entry(
      {std::move(profile),
       [](const Popular& popular) { return popular.profile.empty() ? Node{} : node_of(popular.profile); },
       [](Popular& popular, TableReader& table, const Field& its) {
         popular.profile = table.text(its.name());
       }});
  fields.add("share", &Popular::share,
             "part of this trace's steps, from the first on, that is known before; without it all of them",
             pregate::Range{1e-9, 1, "above 0 and at most 1"});
  return PartParameters(fields);
}

/// What each expert is ranked by; empty: by the whole trace.
std::vector<double> known_before(const Popular& popular, const Unplaced& experts, Placed& placed) {
  if (!popular.profile.empty() && popular.share) {
    throw InputError("policy.placement", "profile is another trace, share a part of this one",
                     "remove placement.profile or placement.share");
  }
  if (!popular.profile.empty()) {
    ActivationProfile read = read_profile(popular.profile, experts.map, "policy.placement.profile");
    placed.notes.push_back("resident are the experts that another trace activates most (" + read.name + ")");
    return std::move(read.shares);
  }
  if (!popular.share) return {};
  char percent[32];
  std::snprintf(percent, sizeof percent, "%.3g", *popular.share * 100);
  placed.notes.push_back("resident are the experts that the first " + std::string(percent) +
                         " % of this trace's steps activate most; the run has those steps, too");
  return activation_shares(experts.source, experts.map, *popular.share);
}

}  // namespace

PlacementEntry popular_resident() {
  PlacementEntry entry;
  entry.name = "popular";
  entry.help = "the 'count' experts of a layer that this trace activates most, or another, or a part of this";
  entry.mechanism = "popular pinned";
  entry.parameters = popular_parameters();
  entry.is_idle = [](const std::any& parameters) {
    return std::any_cast<const Popular&>(parameters).count == 0;
  };
  entry.place = [](const std::any& parameters, const Unplaced& experts, Placed& placed) {
    const auto& popular = std::any_cast<const Popular&>(parameters);
    const std::vector<double> values = known_before(popular, experts, placed);
    for (const MoeLayer& layer : experts.map.layers()) {
      std::vector<ExpertKey> keys =
          values.empty() ? by_popularity(layer, experts.scan) : by_value(layer, values);
      keys.resize(static_cast<std::size_t>(std::min<std::int64_t>(popular.count, layer.experts)));
      for (const ExpertKey key : keys) placed.resident[key] = 1;
    }
  };
  return entry;
}

}  // namespace pregate::sim
