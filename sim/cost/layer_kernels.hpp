// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/model.hpp"
#include "sim/cost/kernel_times.hpp"

namespace pregate::sim {

/// One kernel of a library on operands of a format: which constants price it, and with which bytes.
struct KernelChoice {
  KernelFamily family{};
  std::string asked;      ///< the operands' format, as the model calls it
  std::string dtype;      ///< whose constants: the asked one's, or bf16 where it has none
  bool measured = false;  ///< with operands of this kind of format; else it runs as another's kernel
  KernelFormat format{};
  KernelConstants constants;
};

/// A product of activations with n x k weights.
struct Product {
  std::int64_t n = 1, k = 1;
  KernelChoice kernel;
  std::optional<KernelChoice> few;  ///< another kernel where there are fewer than `few_rows` activations

  [[nodiscard]] const KernelChoice& kernel_for(std::int64_t rows) const {
    return few && rows < few_rows ? *few : kernel;
  }
  /// vLLM gives so many to DeepGEMM and fewer to FlashInfer (the class
  /// FlashInferFp8DeepGEMMDynamicBlockScaledKernel), as the measured rows say, too.
  static constexpr std::int64_t few_rows = 32;
};

/// What a layer runs of a kernel library. Where a part has no kernels its price is the roofline's.
struct LayerKernels {
  enum class Scores { none, grouped_query, latent, delta };
  Mixer mixer;
  std::vector<Product> projections;
  Scores scores = Scores::none;
  std::optional<KernelChoice> decode, prefill;            ///< attention; the delta rule of a linear layer
  std::optional<KernelChoice> conv_decode, conv_prefill;  ///< linear layers
  std::vector<Product> router,
      feed_forward;  ///< feed_forward: dense, or the shared experts and latent projections
  std::optional<KernelChoice> experts;
  std::int64_t expert_width = 0, expert_inner = 0;  ///< of the outer and the inner side of an expert
  bool gated = false;
};

/// The kernels of the stack's layer on this GPU. InputError as GpuKernelTimes.
LayerKernels layer_kernels(const ModelSpec& model, const Stack& stack, const LayerProfile& profile,
                           const GpuKernelTimes& gpu);

/// The product of the model's head.
Product head_kernel(const ModelSpec& model, const GpuKernelTimes& gpu);

}  // namespace pregate::sim
