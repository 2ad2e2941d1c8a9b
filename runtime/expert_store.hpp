// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "runtime/shapes.hpp"
#include "runtime/weight_files.hpp"
#include "sim/policy/routing.hpp"

namespace pregate::runtime {

/// The routed experts' weights in pinned host memory, from where they are fetched: those of the user's files
/// where they are given, else synthetic, different for every expert. With fewer buffers than experts, experts
/// share them in turn (key modulo buffers), which moves the same bytes.
class ExpertStore {
 public:
  /// `distinct` buffers; 0 = one an expert. Says before it allocates when host memory does not suffice:
  /// InputError naming --distinct-experts. `files` may be null; experts with weights of their own share no
  /// buffers (std::invalid_argument).
  ExpertStore(Device& device, const ModelShape& shape, const sim::ExpertMap& map, std::int64_t distinct,
              std::uint64_t seed, const WeightFiles* files = nullptr);

  [[nodiscard]] PinnedSpan expert(sim::ExpertKey key) const {
    return memory_.span().part({stride_.count * (key % buffers_)}, bytes_);
  }
  [[nodiscard]] std::int64_t buffers() const { return buffers_; }

  /// Seed and scale of the synthetic weights that `key` reads: [in][out], in the shape's type. For a
  /// reference that makes them again.
  static std::uint64_t seed_of(std::uint64_t seed, sim::ExpertKey key, std::int64_t buffers);
  static float scale(const ModelShape& shape);

 private:
  std::int64_t buffers_ = 0;
  Bytes bytes_, stride_;
  PinnedMemory memory_;
};

}  // namespace pregate::runtime
