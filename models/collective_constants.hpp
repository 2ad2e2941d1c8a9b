// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/collective.hpp"
#include "models/units.hpp"

namespace pregate {

/// Which kernels a collective runs.
enum class CollectiveKernels {
  nccl,
  vllm,          ///< vLLM's own all-reduce
  nccl_in_vllm,  ///< NCCL's all-reduce as vLLM was measured with it, where it differs from NCCL's own
                 ///< benchmark
};
std::string_view to_string(CollectiveKernels kernels);

/// What a collective's time is made of (docs/collectives.md has the formulas): two kinds of messages, each
/// with a floor, a step for each GPU beyond the first and a rate (bytes a second). NCCL's are low-latency
/// messages, which carry their own flags, and bulk copies; those of vLLM's own all-reduce read every other
/// GPU's buffer whole, or add up a part each and read the sums.
struct CollectiveConstants {
  double low_floor_s = 0, low_step_s = 0, low_rate = 0;
  double bulk_floor_s = 0, bulk_step_s = 0, bulk_rate = 0;
  double own_rate = 0;  ///< of the buffer itself, which every GPU passes however many there are
  double sharing = 0;   ///< a byte takes (GPUs / 2)^sharing as long as between two: 0 = links of their own
  double switch_bytes = 0;  ///< a buffer from here on is copied in bulk
};

/// One of the constants: how it is called in files, in which unit, and where it lies.
struct CollectiveConstant {
  const char* name;  ///< ends in its unit where it has one
  double CollectiveConstants::*member;
  double unit;                ///< of the number in the file, in the member's
  double start, least, most;  ///< where a fit starts and what is plausible, as in the file
};

/// Constants of one collective, and how well they do on calls that they were not fitted on.
struct CollectiveFit {
  CollectiveKernels kernels{};
  Collective kind{};
  CollectiveConstants constants;
  std::size_t fitted_rows = 0, judged_rows = 0;
  double mape = 0;  ///< mean relative error of the judged rows
};

/// How GPUs of a host reach each other.
enum class GpuLinks {
  nvlink,  ///< all through switches of NVLink
  pcie,    ///< through PCIe switches and the host
};

/// Those that the kernels have over such links, in the order of their file. vLLM's have no switch:
/// where they change their way is in its program, and over PCIe they are of two GPUs that read each other's
/// buffers whole.
std::span<const CollectiveConstant> constants_of(CollectiveKernels kernels, GpuLinks links);

/// A catalogue file of constants of collectives.
struct GpuCollectives {
  std::string name;  ///< of the GPU, as its kernel constants (kernel_constants.hpp) are named
  std::string description, source;
  GpuLinks links{};
  /// Between two calls that the host launches one by one: of vLLM's own kernel, and of NCCL's. Where NCCL is
  /// called for large buffers alone its launch does not show: as the other.
  double eager_s = 0, eager_nccl_s = 0;
  BytesPerSecond eager_copy;  ///< of the copy into a buffer of its own of a call that is not replayed
  std::vector<CollectiveFit> fits;

  /// nullptr where it was not measured.
  [[nodiscard]] const CollectiveFit* find(CollectiveKernels kernels, Collective kind) const;
};

/// Names of the catalogue files, sorted.
std::vector<std::string> collective_gpu_names();
/// From the catalogue; InputError for an unknown name.
GpuCollectives load_gpu_collectives(const std::string& name);
/// From text. InputError, with file and line, for a key that is missing, unknown or out of its bounds.
GpuCollectives parse_gpu_collectives(std::string_view text, const std::string& name,
                                     const std::string& where);

}  // namespace pregate
