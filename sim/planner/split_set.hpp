// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

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
  [[nodiscard]] std::span<const ExpertKey> keys() const { return keys_; }
  [[nodiscard]] std::span<const std::uint32_t> tokens() const { return tokens_; }
  [[nodiscard]] std::uint32_t routed() const { return routed_; }

 private:
  std::vector<ExpertKey> keys_;
  std::vector<std::uint32_t> tokens_;
  std::uint32_t routed_ = 0;
};

}  // namespace pregate::sim
