// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/schedule/schedule.hpp"

#include <algorithm>
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

namespace {

bool is_copy(OpKind kind) {
  return kind == OpKind::fetch || kind == OpKind::write_back || kind == OpKind::activations;
}

Operation without_times(Operation operation) {
  operation.fixed = {};
  operation.rate = {};
  if (is_copy(operation.kind)) return operation;
  operation.bytes = {};
  operation.resources = 0;
  return operation;
}

}  // namespace

bool is_same_work(const Schedule& a, const Schedule& b) {
  const auto same_name = [](const Platform::Resource& x, const Platform::Resource& y) {
    return x.name == y.name;
  };
  if (a.size() != b.size() || a.platform.streams != b.platform.streams ||
      !std::equal(a.platform.resources.begin(), a.platform.resources.end(), b.platform.resources.begin(),
                  b.platform.resources.end(), same_name))
    return false;
  for (OpId id = 0; id < static_cast<OpId>(a.size()); ++id) {
    const std::span<const OpId> before_a = a.dependencies(id), before_b = b.dependencies(id);
    if (!(without_times(a.operation(id)) == without_times(b.operation(id))) ||
        !std::equal(before_a.begin(), before_a.end(), before_b.begin(), before_b.end()))
      return false;
  }
  return true;
}

}  // namespace pregate::sim
