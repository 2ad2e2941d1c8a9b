// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cache/key_lists.hpp"
#include "sim/residency/host_tier.hpp"

namespace pregate::sim {

/// A host tier that holds no expert that the GPU holds: one that goes there leaves, one that leaves the GPU
/// comes back, and of those that came back the oldest leaves a full tier. What is read from the drive passes
/// through without a place of its own.
class ExclusiveHostTier final : public HostTier {
 public:
  ExclusiveHostTier(std::uint32_t keys, std::int64_t slots)
      : lists_(1, keys), is_there_(keys), slots_(static_cast<std::size_t>(slots)) {}

  std::span<const cache::ExpertKey> access(int, std::span<const cache::ExpertKey> keys) override {
    absent_.clear();
    for (const cache::ExpertKey key : keys) {
      if (is_there_[key] == 0)
        absent_.push_back(key);
      else
        remove(key);
    }
    return absent_;
  }

  [[nodiscard]] bool holds(cache::ExpertKey key) const override { return is_there_[key] != 0; }

  void take_back(cache::ExpertKey key) override {
    if (slots_ == 0 || is_there_[key] != 0) return;
    if (lists_.size(0) == slots_) remove(lists_.back(0));
    lists_.push_front(0, key);
    is_there_[key] = 1;
  }

 private:
  void remove(cache::ExpertKey key) {
    lists_.remove(0, key);
    is_there_[key] = 0;
  }

  cache::KeyLists lists_;
  std::vector<std::uint8_t> is_there_;  // by key
  std::size_t slots_;
  std::vector<cache::ExpertKey> absent_;
};

}  // namespace pregate::sim
