// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/host/core_team.hpp"
#include "runtime/shapes.hpp"

namespace pregate::runtime {

/// An expert on the CPU, from where its weights lie in host memory: products and activation in fp32, whatever
/// the weights are stored in. Memory-bound for few rows; for many it is no GEMM library.
class CpuFeedForward {
 public:
  explicit CpuFeedForward(CoreTeam& team) : team_(team) {}

  /// output[rows x d_model] of rows[rows x d_model]. `weights`: the two matrices one after the other,
  /// [columns_in x d_model] and [d_model x inner], as `model` stores them.
  void compute(const FeedForward& shape, const ModelShape& model, std::span<const std::byte> weights,
               const std::vector<float>& rows, std::vector<float>& output);

 private:
  template <class Weights>
  void compute_from(const FeedForward& shape, int d_model, const Weights& in, const Weights& out,
                    const std::vector<float>& rows, std::vector<float>& output);

  CoreTeam& team_;
  std::vector<float> mid_, activated_;
};

}  // namespace pregate::runtime
