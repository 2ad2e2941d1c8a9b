// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

namespace pregate::validation {

/// Times of one operation, measured in rounds of the same work. What a run takes is the sum of its
/// operations, late ones included, so a round counts with its mean; whether a whole round was disturbed is
/// for the median of rounds to say.
class RoundMeans {
 public:
  void add(std::size_t round, double value) {
    if (rounds_.size() <= round) rounds_.resize(round + 1);
    rounds_[round].sum += value;
    ++rounds_[round].count;
  }
  [[nodiscard]] std::vector<double> all() const {
    std::vector<double> means;
    for (const Round& round : rounds_) {
      if (round.count > 0) means.push_back(round.sum / round.count);
    }
    return means;
  }

 private:
  struct Round {
    double sum = 0;
    int count = 0;
  };
  std::vector<Round> rounds_;
};

}  // namespace pregate::validation
