// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/schedule/schedule.hpp"

#include <stdexcept>

namespace pregate::sim {

OpId Schedule::add(const Operation& operation, std::span<const OpId> dependencies) {
  const auto id = static_cast<OpId>(operations_.size());
  if (const char* defect = defect_of(operation, platform)) {
    throw std::invalid_argument("Schedule::add: operation " + std::to_string(id) + ": " + defect);
  }
  for (const OpId dependency : dependencies) {
    if (dependency < no_op || dependency >= id) {
      throw std::invalid_argument("Schedule::add: operation " + std::to_string(id) + " depends on " +
                                  std::to_string(dependency) + ", which was not issued before");
    }
  }
  for (const OpId dependency : dependencies) {
    if (dependency != no_op) dependencies_.push_back(dependency);
  }
  operations_.push_back(operation);
  first_dependency_.push_back(dependencies_.size());
  return id;
}

void Schedule::make_empty(OpId id) {
  Operation& operation = operations_.at(static_cast<std::size_t>(id));
  operation.fixed = {};
  operation.bytes = {};
  operation.rate = {};
  operation.resources = 0;
}

std::span<const OpId> Schedule::dependencies(OpId id) const {
  const auto index = static_cast<std::size_t>(id);
  return std::span(dependencies_)
      .subspan(first_dependency_[index], first_dependency_[index + 1] - first_dependency_[index]);
}

}  // namespace pregate::sim
