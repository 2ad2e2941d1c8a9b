// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/program/layer_program.hpp"
#include "sim/residency/host_tier.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// Reads experts from a drive into the host's memory before they are copied or computed from there. Without a
/// host tier the host's memory holds them all and nothing is read.
class HostReads {
 public:
  /// Reads go into `program`, which must outlive this.
  HostReads(std::uint32_t keys, LayerProgram& program) : program_(program), keys_(keys) {}

  void set(std::unique_ptr<HostTier> tier, const Hop& from_drive);
  [[nodiscard]] bool any() const { return tier_ != nullptr; }

  /// What was read for earlier layers is there when the ids of a layer that begins now are known, or its
  /// copy waits for it.
  void begin_layer();
  /// These experts of the MoE layer `ordinal`, layer `layer` of its stack, are about to be used; no expert
  /// twice. Issues the reads of those that are not there.
  void bring(int ordinal, int layer, std::span<const ExpertKey> keys, OpId ids_known);
  /// What a copy or computation that is issued in the same layer as bring() waits for; no_op: nothing.
  [[nodiscard]] OpId read_of(ExpertKey key) const { return tier_ ? read_[key] : no_op; }
  /// Likewise for a layer to come, whose copies then wait for reads that are still under way.
  void preload(int ordinal, int layer, std::span<const ExpertKey> keys, OpId after);
  /// The layer is done: nothing waits for what was preloaded for it.
  void leave(int ordinal);
  /// An expert leaves the GPU.
  void take_back(ExpertKey key) {
    if (tier_) tier_->take_back(key);
  }
  [[nodiscard]] std::int64_t count() const { return count_; }

 private:
  void read(std::span<const ExpertKey> absent, int layer, OpId after, std::vector<ExpertKey>& changed);

  LayerProgram& program_;
  std::uint32_t keys_;
  std::unique_ptr<HostTier> tier_;
  Hop from_drive_;
  std::vector<OpId> read_;                         // by key, of this layer
  std::vector<ExpertKey> changed_;                 // those of them that are not no_op
  std::vector<std::vector<ExpertKey>> preloaded_;  // by ordinal, of layers to come
  std::int64_t count_ = 0;
};

}  // namespace pregate::sim
