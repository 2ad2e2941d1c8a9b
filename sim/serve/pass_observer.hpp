// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "models/units.hpp"
#include "sim/serve/batcher.hpp"

namespace pregate::sim {

/// Is told of every pass, once.
class PassObserver {
 public:
  PassObserver() = default;
  virtual ~PassObserver() = default;
  PassObserver(const PassObserver&) = default;
  PassObserver& operator=(const PassObserver&) = default;
  PassObserver(PassObserver&&) = default;
  PassObserver& operator=(PassObserver&&) = default;

  /// A pass of these rows ran.
  virtual void ran(std::span<const Row> rows, Picoseconds begin, Picoseconds end) = 0;
};

}  // namespace pregate::sim
