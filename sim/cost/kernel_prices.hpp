// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "sim/cost/gpu_time.hpp"
#include "sim/cost/layer_kernels.hpp"
#include "sim/program/step_shape.hpp"

namespace pregate::sim {

/// Share of a pass's tokens that are of prompts: of sequences that add more than one, or than a few to a
/// context (drafts).
double prompt_part(std::span<const AlikeSequences> alike);

/// Prices a layer's operations by the kernels of a library on one GPU. A kernel's fitted time begins at the
/// end of the one before it in a replayed graph, as it was measured: what launching it one by one costs
/// beyond that is `single_launch`, zero where passes are replayed. Products that were measured launched one
/// by one all the same (docs/kernel-times.md) are, in a replayed pass, two kernels with the floor of bf16's.
class KernelPrices {
 public:
  enum class Pass { launched, replayed };
  KernelPrices(GpuKernelTimes gpu, Picoseconds single_launch, Pass pass = Pass::launched)
      : gpu_(std::move(gpu)), single_launch_(single_launch), pass_(pass) {}

  [[nodiscard]] const GpuKernelTimes& gpu() const { return gpu_; }
  /// Each product on its own, of so many tokens.
  [[nodiscard]] GpuTime products(std::span<const Product> products, std::int64_t tokens) const;
  /// Attention over the cache, or the delta rule; the layer has Scores other than none. Sequences that add
  /// one token, or a few to a context (drafts), are one decode kernel over their mean context; the others one
  /// prompt kernel over all of them.
  [[nodiscard]] GpuTime scores(const LayerKernels& layer, std::span<const AlikeSequences> alike) const;
  /// `counts`: tokens of each activated expert.
  [[nodiscard]] GpuTime experts(const LayerKernels& layer, std::span<const std::uint32_t> counts,
                                const ExpertLayer& of) const;

 private:
  struct Rows;
  [[nodiscard]] double decode_seconds(const LayerKernels& layer, const Rows& rows) const;
  [[nodiscard]] double latent_seconds(const MlaShape& shape, const KernelChoice& kernel) const;
  [[nodiscard]] double prompt_seconds(const LayerKernels& layer, const AlikeSequences& rows) const;
  [[nodiscard]] double product_seconds(const Product& product, std::int64_t tokens) const;
  [[nodiscard]] GpuTime kernels(double seconds, int count) const {
    return kernel_time_of(from_seconds(seconds)) + launch_time(single_launch_ * count);
  }

  GpuKernelTimes gpu_;
  Picoseconds single_launch_;
  Pass pass_;
};

}  // namespace pregate::sim
