// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/workload/routing.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// In which decode steps each expert is activated: for predictors that know the future. 4 bytes an access.
class DecodeUses {
 public:
  /// Two passes over `source`, which ends rewound. InputError for 2^32 steps or more.
  DecodeUses(trace::StepSource& source, const ExpertMap& map);

  /// Decode steps in increasing order, numbered from 0 over the whole trace.
  [[nodiscard]] std::span<const std::uint32_t> of(ExpertKey key) const {
    return {steps_.data() + first_[key], first_[std::size_t{key} + 1] - first_[key]};
  }

 private:
  std::vector<std::size_t> first_;  // by key, plus the end
  std::vector<std::uint32_t> steps_;
};

}  // namespace pregate::sim
