// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "runtime/reference_attention.hpp"
#include "runtime/shapes.hpp"
#include "runtime/weights/dense_weights.hpp"
#include "sim/workload/routing.hpp"
#include "traces/trace.hpp"

namespace pregate::runtime {

/// What a pass must leave in its hidden rows, computed on the host in double precision from the same seeds,
/// one layer after the other, by plain loops: an oracle for small models that shares no code with the
/// devices' arithmetic.
class ReferenceModel {
 public:
  /// An expert's matrices, [columns_in x d_model] and [d_model x inner], one after the other.
  using ExpertValues = std::function<std::optional<std::vector<double>>(sim::ExpertKey)>;
  /// In which format an expert that a pass activates is computed; none: it is left out, and the other experts
  /// keep their shares.
  using Computed = std::function<std::optional<sim::FormatId>(sim::ExpertKey)>;

  /// `buffers`: weight buffers that experts share (ExpertStore::buffers()). `given`: values of experts that
  /// are not synthetic.
  ReferenceModel(const ModelShape& shape, const sim::ExpertMap& map, std::int64_t buffers, std::uint64_t seed,
                 ExpertValues given = nullptr);

  /// [tokens x d_model] after the last layer of step `number`. `computed`: null where all are as the model
  /// has them. Steps come in the trace's order, where attention is over a cache.
  [[nodiscard]] std::vector<double> run(const trace::Step& step, std::int64_t number, int model_stack,
                                        const Computed& computed = nullptr);

 private:
  using Matrix = std::vector<double>;
  [[nodiscard]] Matrix weights(std::int64_t rows, int inner, std::uint64_t seed, float scale) const;
  [[nodiscard]] Matrix packed_weights(std::uint64_t seed, const ExpertFormat& format) const;
  [[nodiscard]] Matrix expert_weights(sim::ExpertKey key, sim::FormatId format) const;
  void add_product(const Matrix& input, const Matrix& weights, int inner, int columns, Matrix& output) const;
  [[nodiscard]] Matrix norm(const Matrix& rows) const;
  [[nodiscard]] Matrix dense(DenseWeights::Matrix which, std::int64_t rows, int inner, int stack,
                             int layer) const;
  void add_attention(int stack, int layer, Matrix& hidden);
  [[nodiscard]] Matrix feed_forward(const FeedForward& shape, const Matrix& in, const Matrix& out,
                                    const Matrix& rows) const;

  ModelShape shape_;
  const sim::ExpertMap& map_;
  std::int64_t buffers_;
  std::uint64_t seed_;
  ExpertValues given_;
  ReferenceAttention attention_;
};

/// ||a - b|| / ||b||.
double relative_error(const std::vector<double>& a, const std::vector<double>& b);
/// Rows as they lie in memory.
std::vector<double> to_doubles(std::span<const std::byte> rows, ElementType type);

}  // namespace pregate::runtime
