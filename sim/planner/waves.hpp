// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// A layer whose missing experts outnumber the free slots, cut into waves that compute one after the other:
/// first what is there already, with as many copies as fit; then wave by wave, each half of the free slots so
/// that the next wave's copies overlap this one's computation.
class Waves {
 public:
  /// Starts with the first wave: those of `activated` that need no copy. `tokens` of each; both outlive the
  /// layer.
  template <class NeedsCopy>
  void begin(std::span<const ExpertKey> activated, std::span<const std::uint32_t> tokens,
             const NeedsCopy& needs_copy) {
    activated_ = activated;
    all_tokens_ = tokens;
    waiting_.clear();
    next_ = 0;
    clear();
    for (std::size_t i = 0; i < activated.size(); ++i) {
      if (needs_copy(activated[i])) {
        waiting_.push_back(i);
      } else {
        add(i);
      }
    }
  }

  [[nodiscard]] bool all_taken() const { return next_ == waiting_.size(); }

  /// Adds experts that wait to the wave and returns them, to be fetched; at most `free_slots`, none when that
  /// is 0.
  std::span<const ExpertKey> take(std::size_t free_slots) {
    const std::size_t left = waiting_.size() - next_;
    const std::size_t count =
        left <= free_slots ? left : std::min(free_slots, std::max<std::size_t>(1, free_slots / 2));
    for (std::size_t i = 0; i < count; ++i) add(waiting_[next_++]);
    return std::span<const ExpertKey>(keys_).last(count);
  }

  [[nodiscard]] std::span<const ExpertKey> keys() const { return keys_; }
  [[nodiscard]] std::span<const std::uint32_t> tokens() const { return tokens_; }
  /// Routed entries of the wave.
  [[nodiscard]] std::uint32_t routed() const { return routed_; }
  /// The wave is done; the next one starts empty.
  void clear() {
    keys_.clear();
    tokens_.clear();
    routed_ = 0;
  }

 private:
  void add(std::size_t i) {
    keys_.push_back(activated_[i]);
    tokens_.push_back(all_tokens_[i]);
    routed_ += all_tokens_[i];
  }

  std::span<const ExpertKey> activated_;
  std::span<const std::uint32_t> all_tokens_;
  std::vector<std::size_t> waiting_;  // of activated_
  std::size_t next_ = 0;              // of waiting_
  std::vector<ExpertKey> keys_;
  std::vector<std::uint32_t> tokens_;
  std::uint32_t routed_ = 0;
};

}  // namespace pregate::sim
