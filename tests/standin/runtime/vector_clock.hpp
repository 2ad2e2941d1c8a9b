// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pregate::standin {

/// For each stream, how many of its operations happen before.
class VectorClock {
 public:
  std::uint32_t at(std::size_t stream) const { return stream < counts_.size() ? counts_[stream] : 0; }

  void set(std::size_t stream, std::uint32_t count) {
    if (counts_.size() <= stream) counts_.resize(stream + 1);
    counts_[stream] = count;
  }

  void join(const VectorClock& other) {
    if (counts_.size() < other.counts_.size()) counts_.resize(other.counts_.size());
    for (std::size_t i = 0; i < other.counts_.size(); ++i)
      counts_[i] = std::max(counts_[i], other.counts_[i]);
  }

 private:
  std::vector<std::uint32_t> counts_;
};

}  // namespace pregate::standin
