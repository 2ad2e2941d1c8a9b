// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>

#include "models/units.hpp"

namespace pregate::sim {

/// What a planner may know beforehand of the time that work takes. Only parts that weigh times ask.
class Estimates {
 public:
  Estimates() = default;
  virtual ~Estimates() = default;
  Estimates(const Estimates&) = delete;
  Estimates& operator=(const Estimates&) = delete;

  /// All copies of one expert, one after the other, on an idle link.
  [[nodiscard]] virtual Picoseconds fetch() const = 0;
  /// `experts` > 0 experts of a layer of this class that get `routed` tokens in all, on the CPU.
  [[nodiscard]] virtual Picoseconds on_cpu(int layer_class, std::int64_t experts,
                                           std::uint32_t routed) const = 0;
  /// One expert of such a layer that gets `tokens`, on the GPU, in a kernel that runs anyway.
  [[nodiscard]] virtual Picoseconds on_gpu(int layer_class, std::uint32_t tokens) const = 0;
  /// From the ids of such a layer, `experts` of whose experts get `routed` tokens, to those of the next one
  /// if that is alike and nobody waits for copies.
  [[nodiscard]] virtual Picoseconds between_gates([[maybe_unused]] int layer_class,
                                                  [[maybe_unused]] std::uint32_t experts,
                                                  [[maybe_unused]] std::uint32_t routed) const {
    throw std::logic_error("these estimates do not say how far gates are apart");
  }
};

}  // namespace pregate::sim
