// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/recorder.hpp"

namespace pregate::sim {

void Recorder::entered(OpId id, const Operation& operation, std::span<const OpId> dependencies) {
  if (operation.step < first_step_ || operation.step - first_step_ >= steps_) return;
  if (schedule_.size() == 0) first_ = id;
  dependencies_.clear();
  for (const OpId dependency : dependencies) {
    if (dependency >= first_) dependencies_.push_back(dependency - first_);
  }
  schedule_.add(operation, dependencies_);
}

void Recorder::ended(OpId id, Picoseconds start, Picoseconds finish) {
  if (!is_recorded(id)) return;
  const auto place = static_cast<std::size_t>(id - first_);
  if (timeline_.start.size() < schedule_.size()) {
    timeline_.start.resize(schedule_.size());
    timeline_.finish.resize(schedule_.size());
  }
  timeline_.start[place] = start;
  timeline_.finish[place] = finish;
}

}  // namespace pregate::sim
