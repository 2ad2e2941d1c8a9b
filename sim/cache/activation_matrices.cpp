// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/activation_matrices.hpp"

#include <algorithm>
#include <cmath>

#include "models/error.hpp"

namespace pregate::cache {

ActivationMatrices::ActivationMatrices(const CacheGeometry& geometry, std::uint32_t capacity,
                                       const std::string& where)
    : layers_(geometry),
      capacity_(capacity),
      running_{Matrix(layers_, geometry.keys()), Matrix(layers_, geometry.keys())},
      factor_(layers_.count()) {
  constexpr std::uint64_t most = std::uint64_t{2} << 30U;
  if (std::uint64_t{2} * capacity * geometry.keys() * sizeof(float) > most) {
    throw InputError(where,
                     std::to_string(capacity) + " matrices of " + std::to_string(geometry.keys()) +
                         " experts, of two phases, would take more than 2 GiB",
                     "set it lower");
  }
}

void ActivationMatrices::begin_pass(const PassStart& start) {
  if (start.first_of_request) end_request();
  phase_ = start.is_decode ? 1 : 0;
  square_ = 0;
  std::fill(now().dot.begin(), now().dot.end(), 0);
  std::fill(now().square.begin(), now().square.end(), 0);
  matched_ = nullptr;
}

void ActivationMatrices::end_request() {
  for (std::size_t phase = 0; phase < 2; ++phase) {
    Matrix& running = running_[phase];
    Collection& collection = collections_[phase];
    if (std::any_of(running.sum.begin(), running.sum.end(), [](double sum) { return sum > 0; })) {
      if (collection.matrices.size() < capacity_) {
        collection.matrices.push_back(running);
        collection.dots.emplace_back(layers_.count());
        collection.dot.push_back(0);
        collection.square.push_back(0);
      } else {
        collection.matrices[collection.oldest] = running;
        collection.oldest = (collection.oldest + 1) % capacity_;
      }
    }
    for (std::vector<double>& dots : collection.dots) std::fill(dots.begin(), dots.end(), 0);
    std::fill(running.counts.begin(), running.counts.end(), 0.0F);
    std::fill(running.sum.begin(), running.sum.end(), 0);
    std::fill(running.square.begin(), running.square.end(), 0);
  }
}

void ActivationMatrices::gate(const GateOutcome& outcome) {
  Matrix& running = running_[phase_];
  const std::uint32_t ordinal = outcome.ordinal;
  for (std::size_t i = 0; i < outcome.activated.size(); ++i) {
    const ExpertKey key = outcome.activated[i];
    const auto before = static_cast<double>(running.counts[key]);
    const double tokens = outcome.tokens[i];
    running.counts[key] = static_cast<float>(before + tokens);
    running.sum[ordinal] += tokens;
    running.square[ordinal] += tokens * (2 * before + tokens);
    for (std::size_t m = 0; m < now().matrices.size(); ++m)
      now().dots[m][ordinal] += tokens * static_cast<double>(now().matrices[m].counts[key]);
  }
  match(now(), ordinal);
}

void ActivationMatrices::match(Collection& collection, std::uint32_t ordinal) {
  square_ += running_[phase_].square[ordinal];
  matched_ = nullptr;
  double best = 0;
  for (std::size_t m = 0; m < collection.matrices.size(); ++m) {
    const double dot = collection.dot[m] += collection.dots[m][ordinal];
    const double square = collection.square[m] += collection.matrices[m].square[ordinal];
    if (dot <= 0) continue;
    const double cosine = dot / std::sqrt(square_ * square);
    if (cosine <= best) continue;
    best = cosine;
    matched_ = &collection.matrices[m];
  }
  if (matched_ == nullptr) return;
  for (std::uint32_t other = 0; other < layers_.count(); ++other) {
    const bool is_ahead = other > ordinal && layers_.distance(other, ordinal) == other - ordinal;
    const double near = is_ahead ? 1 - static_cast<double>(other - ordinal) / layers_.depth(other) : 1;
    factor_[other] = matched_->sum[other] > 0 ? near / matched_->sum[other] : 0;
  }
}

}  // namespace pregate::cache
