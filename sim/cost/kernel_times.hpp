// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "models/kernel_constants.hpp"
#include "models/machine.hpp"
#include "sim/cost/kernel_model.hpp"

namespace pregate::sim {

/// Where a GPU's kernel constants come from.
enum class KernelSource {
  measured,  ///< fitted on this GPU
  by_kin,    ///< those of a GPU of its architecture, as shares of its own peaks
};

/// Times of kernels on one GPU whose operands come from memory, in seconds. A data type that was not measured
/// for a kernel takes the constants of bf16, with its own bytes and rate; a kernel without any throws
/// InputError.
class GpuKernelTimes {
 public:
  /// Of a GPU that was measured.
  explicit GpuKernelTimes(GpuKernels kernels);
  /// Of another one, by the constants of its kin. `peaks` are its own.
  GpuKernelTimes(GpuKernels kin, KernelPeaks peaks);

  [[nodiscard]] KernelSource source() const { return source_; }
  /// Of the GPU that was measured: this one, or its kin.
  [[nodiscard]] const std::string& measured_on() const { return kernels_.name; }
  [[nodiscard]] const KernelPeaks& peaks() const { return peaks_; }
  /// nullptr where there are none for exactly this.
  [[nodiscard]] const KernelFit* find(KernelFamily family, std::string_view dtype) const {
    return kernels_.find(family, dtype);
  }
  /// Median relative error to expect, as judged on shapes that were not fitted; by kin, the error that
  /// inheriting the constants made there. Absent where none was determined.
  [[nodiscard]] std::optional<double> expected_error(KernelFamily family, std::string_view dtype) const;

  [[nodiscard]] double gemm(const GemmShape& shape, std::string_view dtype) const;
  [[nodiscard]] double fused_moe(const MoeShape& shape, std::string_view dtype) const;
  /// `dtype` of the keys and values.
  [[nodiscard]] double attention_decode(const AttentionShape& shape, std::string_view dtype) const;
  [[nodiscard]] double attention_prefill(const AttentionShape& shape, std::string_view dtype) const;
  [[nodiscard]] double mla_decode(const MlaShape& shape, std::string_view dtype) const;
  [[nodiscard]] double mla_layer_decode(const MlaShape& shape, std::string_view dtype,
                                        std::string_view weights) const;
  /// Convolution and delta rule of one layer, bf16.
  [[nodiscard]] double linear_attention_decode(const LinearShape& shape) const;
  [[nodiscard]] double linear_attention_prefill(const LinearShape& shape) const;

 private:
  [[nodiscard]] const KernelConstants& constants(KernelFamily family, std::string_view dtype) const;

  GpuKernels kernels_;
  KernelPeaks peaks_;
  KernelSource source_;
};

/// The peaks of a machine's GPU. Its description has no size of L2, which only repeated calls depend on: 0.
KernelPeaks kernel_peaks(const GpuSpec& gpu);

/// Whether the machine's GPU is the one that was measured: architecture, SMs, memory bandwidth and what rates
/// both have, to 1 %.
bool is_measured_gpu(const GpuSpec& gpu, const GpuKernels& measured);

/// Times of the kernels that the catalogue has for the machine's GPU: of this GPU where its architecture,
/// SMs, memory bandwidth and bf16 rate are those of one that was measured (to 1 %), else by kin of its
/// architecture. InputError where no GPU of its architecture was measured.
GpuKernelTimes kernel_times_of(const MachineSpec& machine);

}  // namespace pregate::sim
