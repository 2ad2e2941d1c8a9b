// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/shapes.hpp"

namespace pregate::runtime {

/// Matrices of one layer that stay in device memory. Unused ones are empty.
struct LayerWeights {
  DeviceSpan attention_norm, attention_in,
      attention_out;                             ///< [d_model], [attention x d_model], [d_model x attention]
  DeviceSpan query, key, value, output;          ///< of attention over a cache, output by input
  DeviceSpan feed_forward_norm;                  ///< [d_model]
  DeviceSpan router;                             ///< [experts x d_model]
  DeviceSpan feed_forward_in, feed_forward_out;  ///< dense layers, shared experts
};

/// Everything resident but routed experts: synthetic, different for every layer, in one allocation.
class DenseWeights {
 public:
  /// Uploads through `stream`; returns when done. Throws OutOfMemory.
  DenseWeights(Device& device, Stream& stream, const ModelShape& shape, std::uint64_t seed);

  [[nodiscard]] const LayerWeights& layer(int stack, int layer) const {
    return layers_[static_cast<std::size_t>(stack)][static_cast<std::size_t>(layer)];
  }
  [[nodiscard]] DeviceSpan head_norm() const { return head_norm_; }
  [[nodiscard]] DeviceSpan head() const { return head_; }  ///< [vocabulary x d_model]
  [[nodiscard]] Bytes size() const { return memory_.size(); }

  /// Which matrix, for its seed: a reference makes the same weights again.
  enum class Matrix : std::uint64_t {
    attention_in,
    attention_out,
    router,
    feed_forward_in,
    feed_forward_out,
    head,
    query,
    key,
    value,
    output
  };
  static std::uint64_t seed_of(std::uint64_t seed, Matrix matrix, int stack, int layer);
  /// Weights are uniform in [-scale, scale): rows of unit input give rows of about unit size.
  static float scale_of(int inner);

 private:
  DeviceMemory memory_;
  std::vector<std::vector<LayerWeights>> layers_;
  DeviceSpan head_norm_, head_;
};

}  // namespace pregate::runtime
