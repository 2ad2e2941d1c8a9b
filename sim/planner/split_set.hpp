// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// A part of a layer's activated experts, with the tokens of each.
class SplitSet {
 public:
  void clear() {
    keys_.clear();
    tokens_.clear();
    routed_ = 0;
  }
  void add(ExpertKey key, std::uint32_t tokens) {
    keys_.push_back(key);
    tokens_.push_back(tokens);
    routed_ += tokens;
  }
  /// More tokens for `key` if it is there; false otherwise. A search.
  bool add_tokens(ExpertKey key, std::uint32_t tokens) {
    const auto found = std::find(keys_.begin(), keys_.end(), key);
    if (found == keys_.end()) return false;
    tokens_[static_cast<std::size_t>(found - keys_.begin())] += tokens;
    routed_ += tokens;
    return true;
  }
  [[nodiscard]] std::span<const ExpertKey> keys() const { return keys_; }
  [[nodiscard]] std::span<const std::uint32_t> tokens() const { return tokens_; }
  [[nodiscard]] std::uint32_t routed() const { return routed_; }

 private:
  std::vector<ExpertKey> keys_;
  std::vector<std::uint32_t> tokens_;
  std::uint32_t routed_ = 0;
};

}  // namespace pregate::sim
