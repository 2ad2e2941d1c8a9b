// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cache/cached_layers.hpp"

namespace pregate::cache {

/// MoE-Infinity's activation matrices (2401.14361): of each request, how many tokens each expert of each
/// layer got, those of the prompt and of decoding apart. The running request's matrix is matched with those
/// of earlier ones, by the cosine of the layers that have run in this pass; the best match, the earliest on a
/// tie, says who is likely to come.
class ActivationMatrices {
 public:
  /// Keeps the matrices of the last `capacity` requests of each phase. `encoder` passes count as a prompt.
  /// InputError at `where` when so many matrices of so many experts would take more than 2 GiB.
  ActivationMatrices(const CacheGeometry& geometry, std::uint32_t capacity,
                     const std::string& where = "policy.cache.matrices");

  void begin_pass(const PassStart& start);
  /// Adds what the gate chose and matches again.
  void gate(const GateOutcome& outcome);

  /// Of the layer's tokens in the matched matrix the share that the expert got; of a layer that is `i` layers
  /// after the running one, with L layers in its stack, times 1 - i / L. 0 without a match.
  [[nodiscard]] double probability(ExpertKey key) const {
    if (matched_ == nullptr) return 0;
    return static_cast<double>(matched_->counts[key]) * factor_[layers_.ordinal_of(key)];
  }
  [[nodiscard]] const CachedLayers& layers() const { return layers_; }

 private:
  struct Matrix {
    std::vector<float> counts;        // by key
    std::vector<double> sum, square;  // by layer: of the counts, of their squares
    explicit Matrix(const CachedLayers& layers, std::size_t keys)
        : counts(keys), sum(layers.count()), square(layers.count()) {}
  };
  /// Of one phase.
  struct Collection {
    std::vector<Matrix> matrices;
    std::size_t oldest = 0;                 // when full
    std::vector<std::vector<double>> dots;  // by matrix and layer: with the running matrix
    std::vector<double> dot, square;        // by matrix, of the layers that have run in this pass
  };
  void end_request();
  void match(Collection& collection, std::uint32_t ordinal);
  [[nodiscard]] Collection& now() { return collections_[phase_]; }

  CachedLayers layers_;
  std::uint32_t capacity_;
  Matrix running_[2];
  Collection collections_[2];  // prompts, decoding
  std::size_t phase_ = 0;
  double square_ = 0;  // of the running matrix, of the layers that have run in this pass
  const Matrix* matched_ = nullptr;
  std::vector<double> factor_;  // by layer
};

}  // namespace pregate::cache
