// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/units.hpp"

namespace pregate {

/// What the kernel models of sim/cost/kernel_model.hpp are fitted for.
enum class KernelFamily {
  gemm,
  fused_moe,
  attention_decode,
  attention_prefill,
  mla_decode,        ///< the attention kernel alone
  mla_layer_decode,  ///< with the projections before and after it
  conv_decode,       ///< causal convolution of a linear-attention layer
  conv_prefill,
  delta_decode,  ///< gated delta rule of a linear-attention layer
  delta_prefill,
};

std::span<const KernelFamily> kernel_families();
std::string_view to_string(KernelFamily family);

/// What a kernel's time is made of (docs/kernel-times.md has the formulas). A family uses some of them: see
/// constants_of(). Shares are of the GPU's own peaks, so that a GPU without measurements can inherit them.
struct KernelConstants {
  double floor_s = 0;           ///< launch and latency, whatever the shape
  double memory_share = 1;      ///< of the memory's peak bandwidth
  double arithmetic_share = 1;  ///< of the peak rate of the data type
  double sm_feed = 0;           ///< bytes a second into one SM, from L2
  double overlap = 1.5;         ///< p of (memory^p + arithmetic^p)^(1/p): large = the longer one alone
  double wave_share = 1;        ///< of the loss of a part-filled last wave that is paid, 0..1
  double l2_multiple = 1;       ///< rate of what is read from L2, in multiples of the memory's
  double softmax_flop = 0;      ///< what one score costs besides its products, in FLOP
  /// A further small kernel: joins the parts of a split context, regroups heads, quantises activations.
  double split_s = 0;
  /// 1 and 2: heads of shared keys are computed together, contexts split by need (FlashAttention 3,
  /// FlashInfer; in decode 1: wider heads start slower). 0: only where there is no window (FlashAttention 2).
  /// In latent attention 1 or 0: 16 heads together and a context in four (Triton). In a delta rule's prompt
  /// 1: one kernel (FlashInfer), 0: several (Triton). Of experts: sim::ExpertKernel.
  /// Of products: sim::ProductKernel.
  double packed = 1;
  double step_s = 0;   ///< a chunk of a sequence that only runs in order; the start of a walk over keys
  double start_s = 0;  ///< before the chunks of a sequence: a delta rule's prompt
};

/// One of the constants: how it is called in files, in which unit, and where it lies.
struct KernelConstant {
  const char* name;  ///< ends in its unit where it has one: floor_us
  double KernelConstants::*member;
  double unit;                ///< of the number in the file, in the member's
  double start, least, most;  ///< where a fit starts and what is plausible, as in the file
  bool choice = false;        ///< a whole number from `least` to `most`
};

/// The constants that the family has, in the order of its file.
std::span<const KernelConstant> constants_of(KernelFamily family);

/// Peaks that the constants are shares of.
struct KernelPeaks {
  BytesPerSecond memory_bandwidth;
  Bytes l2;
  int sm_count = 0;
  std::map<std::string, FlopPerSecond, std::less<>> rates;  ///< by precision, as in GpuSpec
  /// What a launch from Python took on the machine that was measured; its host's, not the GPU's. 0: not
  /// known.
  double launch_s = 0;
};

/// Constants of one family and data type, and how well they do on shapes that they were not fitted on.
struct KernelFit {
  KernelFamily family{};
  /// bf16, fp8, fp8_block, fp8_block_few (products with few activations, where those have another kernel),
  /// int4, mxfp4 (of triton_kernels), mxfp4_marlin or nvfp4; of the keys and values in attention.
  std::string dtype;
  KernelConstants constants;
  std::size_t fitted_rows = 0, judged_rows = 0;
  double median = 0, percentile_90 = 0;  ///< relative errors of the judged rows
  double kin_median = 0;                 ///< the same, from the other GPUs' constants; 0 = no other has it
};

/// A catalogue file of kernel constants.
struct GpuKernels {
  std::string name, description, source;
  std::string architecture;  ///< ampere, ada, hopper or blackwell
  KernelPeaks peaks;
  std::vector<KernelFit> fits;

  /// nullptr where this family and data type were not measured on this GPU.
  [[nodiscard]] const KernelFit* find(KernelFamily family, std::string_view dtype) const;
};

/// The data types that kernels are measured with.
std::span<const std::string_view> kernel_dtypes();

/// Names of the catalogue files, sorted.
std::vector<std::string> kernel_gpu_names();
/// From the catalogue; InputError for an unknown name.
GpuKernels load_gpu_kernels(const std::string& name);
/// From text. InputError, with file and line, for a key that is missing, unknown or out of its bounds.
GpuKernels parse_gpu_kernels(std::string_view text, const std::string& name, const std::string& where);

}  // namespace pregate
