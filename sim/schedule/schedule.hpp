// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// The issued operations with their dependencies: an operation may depend only on operations issued before
/// it, so a schedule is acyclic by construction; a schedule read from a file is checked.
class Schedule {
 public:
  Platform platform;

  /// Appends; no_op among the dependencies is ignored. Throws std::invalid_argument when defect_of(operation)
  /// says so on this platform or a dependency was not issued before.
  OpId add(const Operation& operation, std::span<const OpId> dependencies);
  /// The operation was taken back before it started: it takes no time and moves nothing.
  void make_empty(OpId id);
  [[nodiscard]] std::size_t size() const { return operations_.size(); }
  [[nodiscard]] const Operation& operation(OpId id) const {
    return operations_[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] std::span<const OpId> dependencies(OpId id) const;
  bool operator==(const Schedule&) const = default;

 private:
  std::vector<Operation> operations_;
  std::vector<OpId> dependencies_;
  std::vector<std::size_t> first_dependency_{0};
};

/// Whether both are the same operations in the same order with the same dependencies on streams of the same
/// names, copies with the same bytes over the same resources; whatever each says of times. Only prices make
/// computing a flow, so its bytes do not count.
bool is_same_work(const Schedule& a, const Schedule& b);

/// Start and finish of every operation of a schedule.
struct Timeline {
  std::vector<Picoseconds> start, finish;

  bool operator==(const Timeline&) const = default;
};

/// Bounds of the numbers of a schedule file: a thousand times what any machine needs, and far from overflow.
inline constexpr Picoseconds max_fixed{1'000'000'000'000'000'000};  ///< 11.6 days
inline constexpr Bytes max_operation_bytes{std::int64_t{1} << 50};  ///< 1 PiB
inline constexpr BytesPerSecond min_rate{1}, max_rate{1e18};

/// JSON, format "pregate-schedule" version 1 (docs/schedule.md); with times when `timeline` is given.
std::string to_json(const Schedule& schedule, const Timeline* timeline);
/// Strict reader; InputError on a cycle or forward dependency, negative or absurd numbers, unknown keys or
/// names. Fills `timeline`, where given, with the times in the file; it stays empty when the file has none.
Schedule parse_schedule_json(const std::string& text, const std::string& where, Timeline* timeline = nullptr);

}  // namespace pregate::sim
