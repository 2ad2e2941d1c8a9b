// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "sim/retime/copy_log.hpp"
#include "sim/retime/pass_log.hpp"
#include "sim/retime/shared_misses.hpp"
#include "sim/run/stack_lookups.hpp"

namespace pregate::sim {

/// Of plans that decide by counts and differ in the capacity of their cache alone, all that decides their
/// times beside the machine. Fills itself as it is driven once through the passes as if each took one
/// picosecond: times of what drives it are numbers of passes. More than one plan: their caches are looked up
/// together (StackLookups).
class DecisionLogs final : public PassRunner {
 public:
  /// Precondition: decides_by_counts(), no passes that depend on time, and where there are several plans
  /// share_lookups() of any two. All outlive the driving.
  DecisionLogs(const ModelSpec& model, const ExpertMap& map, std::span<const Plan* const> plans);

  Picoseconds run(const Pass& pass) override;
  void idle_until(Picoseconds) override { is_usable_ = false; }
  void finish() override;

  /// Of the first plan; see CopyLog for the others.
  [[nodiscard]] const AccessCounts& decode_counts() const override {
    return copies_.front()->decode_counts();
  }
  [[nodiscard]] const AccessCounts& other_counts() const override { return copies_.front()->other_counts(); }
  [[nodiscard]] Tally tally() const override { return {}; }
  [[nodiscard]] PathPoint end() const override { return {}; }

  /// False: they grew too large, or something did depend on time.
  [[nodiscard]] bool is_usable() const { return is_usable_; }
  [[nodiscard]] std::shared_ptr<const PassLog> passes() const { return passes_; }
  /// Of the i-th plan. Once.
  [[nodiscard]] std::unique_ptr<const CopyLog> take_copies(std::size_t i) { return std::move(copies_[i]); }

 private:
  void add_shared(const Pass& pass, std::uint32_t body);
  void keep_budget();

  const ExpertMap& map_;
  std::shared_ptr<PassLog> passes_;
  std::unique_ptr<StackLookups> shared_;  // of several plans
  std::unique_ptr<SharedMisses> misses_;  // of several plans that copy on demand
  std::vector<std::unique_ptr<CopyLog>> copies_;
  std::int64_t run_ = 0;
  bool is_usable_ = true;
};

}  // namespace pregate::sim
