// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/parts/part.hpp"
#include "sim/platform/topology.hpp"
#include "sim/workload/routing.hpp"
#include "sim/workload/trace_scan.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// What a placement is decided by.
struct Unplaced {
  const ExpertMap& map;
  const TraceScan& scan;
  const Topology& topology;
  trace::StepSource& source;  ///< of the run; rewound by whoever reads it
};

/// Where experts live for the whole run; those it says nothing of, in the host's memory.
struct Placed {
  std::vector<std::uint8_t> resident;  ///< by key: on the GPU that runs the layers
  /// By key: the place where it lives and is computed, if that is another; empty: none does.
  std::vector<std::optional<PlaceId>> home;
  std::vector<std::string> notes;  ///< what the user should know of it
};

/// A placement as policies choose it (`placement.kind`). What is not said of it is not assumed.
struct PlacementEntry : PartDescription {
  /// `placed.resident` comes with a 0 for each expert. InputError for what the machine lacks.
  using Place = std::function<void(const std::any& parameters, const Unplaced& experts, Placed& placed)>;

  Place place;  ///< empty: no expert is there before the run
  /// Whether with these parameters nothing is placed, as by a count of 0; empty: no.
  std::function<bool(const std::any& parameters)> is_idle;
  bool keeps_all = false;  ///< every expert is on the GPU that runs the layers
  bool by_counts = false;  ///< of each layer all experts are alike

  [[nodiscard]] bool places(const std::any& chosen) const { return place && !(is_idle && is_idle(chosen)); }
};

/// What `count` is, in one line for all kinds, as lists have it.
inline constexpr const char* counted_help =
    "popular, random, other-gpus: experts a layer; first-layers, last-layers: MoE layers; 0 for none";

/// The parameter of placements of so many.
struct PlacedCount {
  std::int64_t count = 0;
};
/// Describes it for the entry, one line for all kinds as lists have it; 0 places nothing.
void take_count(PlacementEntry& entry);
inline std::int64_t count_of(const std::any& parameters) {
  return std::any_cast<const PlacedCount&>(parameters).count;
}

/// Keys of a layer, those that the trace activates most first.
std::vector<ExpertKey> by_popularity(const MoeLayer& layer, const TraceScan& scan);
/// The same by a value of each key, the highest first, the lower id on a tie.
std::vector<ExpertKey> by_value(const MoeLayer& layer, const std::vector<double>& values);

}  // namespace pregate::sim
