// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/planner/plan.hpp"
#include "sim/serve/serving.hpp"

namespace pregate::sim {

/// Activated experts of decode steps (of all passes, in a trace without), as hit_rate() counts them.
struct HitBound {
  std::int64_t accesses = 0;
  std::int64_t hits = 0;  ///< at most
  [[nodiscard]] double rate() const {
    return accesses > 0 ? static_cast<double>(hits) / static_cast<double>(accesses) : 0;
  }
};

/// Why hit_bound() says nothing of the plan; nothing: it does.
std::optional<std::string> why_no_hit_bound(const Plan& plan, const ServingSpec& serving,
                                            const trace::TraceInfo& trace);

/// The most hits that caches of the plan's size, beside what is resident for the run, can have, whoever
/// leaves and whoever is kept out, as long as only activated experts come in: a replay of `steps` that knows
/// the future. After each layer it keeps those that a counted pass needs soonest (Belady: A study of
/// replacement algorithms for a virtual-storage computer, 1966). A hit is an expert that stays from one
/// activation to the next, at most as many of which overlap as there are slots; who is next activated in a
/// pass that is not counted is worth no slot. So no other choice has more hits in the passes that are counted
/// (which of all passes together, counted or not, Belady's own rule has the most).
/// Precondition: why_no_hit_bound() says nothing. `steps`: as the plan was made of.
HitBound hit_bound(const Plan& plan, const ExpertMap& map, trace::StepSource& steps);

}  // namespace pregate::sim
