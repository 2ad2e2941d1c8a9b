// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cost/cost_model.hpp"
#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// The planner's words for one operation; an executor takes what it needs of it.
struct Request {
  OpKind kind;
  StreamId stream;
  Picoseconds duration;            ///< alone, on idle resources
  const CopyCost* copy = nullptr;  ///< of a copy that occupies a link
  std::uint8_t priority = 0;
  std::int32_t layer = -1;
  std::int32_t expert = -1;
  std::int32_t slot = -1;
  std::int32_t count = 0;
};

}  // namespace pregate::sim
