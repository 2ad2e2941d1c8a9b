// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/run.hpp"
#include "sim/sweep/points.hpp"

namespace pregate::cli {

/// A sweep of more points wants --yes.
inline constexpr std::int64_t many_points = 20'000;

/// What a setting of a point decides: which routing of which model runs on which software, on what hardware,
/// by which policy.
enum class Concern { workload, hardware, policy };
inline constexpr std::size_t concern_count = 3;

/// The inputs of a sweep's points. Points that have all settings of a concern in common share a number of it,
/// from 0 in the order of their first points.
class SweepInputs {
 public:
  /// From --policy, --model, --trace, --machine, --seed, --gpus and its like (lists), --vary and --sample.
  /// InputError: no such key, values that cannot be set.
  explicit SweepInputs(const Parsed& parsed);

  [[nodiscard]] const sim::SweepPoints& points() const { return points_; }
  [[nodiscard]] int number_of(Concern concern, std::int64_t point) const {
    return numbers_[static_cast<std::size_t>(concern)][static_cast<std::size_t>(point)];
  }
  [[nodiscard]] int count_of(Concern concern) const {
    return static_cast<int>(settings_[static_cast<std::size_t>(concern)].size());
  }
  [[nodiscard]] bool varies(Concern concern) const {
    return std::find(concerns_.begin(), concerns_.end(), concern) != concerns_.end();
  }
  /// As simulate and compare would, on the machine as it is without --vary machine.*. It holds all policies.
  [[nodiscard]] Run workload(int number) const;
  [[nodiscard]] MachineSpec machine(const Run& workload, int number) const;
  [[nodiscard]] PolicySpec policy(const Run& workload, int number) const;
  [[nodiscard]] std::string policy_name(int number) const;
  /// Policies of one family differ in cache.capacity at most. From 0.
  [[nodiscard]] int family_of(int policy) const { return families_[static_cast<std::size_t>(policy)]; }
  /// JSON of the values of a point's axes.
  [[nodiscard]] std::string settings(std::int64_t point) const;
  /// What makes the sweep this one: axes, options, version, what the first point is resolved to and the
  /// hashes of all traces. JSON.
  [[nodiscard]] std::string plan() const;
  /// Tries every value of every axis, the other axes at their first: InputError for the first that does not
  /// do. Before several threads use this.
  void check_values() const;

 private:
  /// Of axes of one concern, in their order.
  using Settings = std::vector<std::string>;
  [[nodiscard]] std::vector<Override> overrides(Concern concern, int number) const;
  /// Of the first so many points.
  void number_points(std::int64_t first);
  void find_families();

  Parsed parsed_;
  sim::Sampling sampling_;
  sim::SweepPoints points_;
  std::vector<Concern> concerns_;  ///< by axis
  std::array<std::vector<Settings>, concern_count> settings_;
  std::array<std::vector<int>, concern_count> numbers_;
  std::vector<int> families_;         ///< by policy
  mutable std::optional<Run> first_;  ///< the first workload, once check_values() resolved it
};

/// Options of sweep.
po::options_description sweep_options();

}  // namespace pregate::cli
