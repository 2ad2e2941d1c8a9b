// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/kernels/kin.hpp"

#include "sim/cost/kernel_parts.hpp"

namespace pregate::validation {
namespace {

double tensor_rate_of_an_sm(const KernelPeaks& gpu) {
  return gpu.rates.find("bf16")->second.value / gpu.sm_count;
}

/// Of the memory's bandwidth, in which the rate of L2 is given.
double sms_for_a_byte(const KernelPeaks& gpu) { return gpu.sm_count / gpu.memory_bandwidth.value; }

}  // namespace

KernelConstants carried_over(KernelFamily family, KernelConstants constants, const KernelPeaks& from,
                             const KernelPeaks& to) {
  // Other families were measured in replayed graphs, whatever their floors.
  const bool may_be_launched = family == KernelFamily::gemm || family == KernelFamily::mla_decode;
  if (may_be_launched && sim::launched_from_python(constants) && from.launch_s > 0 && to.launch_s > 0)
    constants.floor_s *= to.launch_s / from.launch_s;
  const bool experts =
      family == KernelFamily::fused_moe && sim::expert_kernel(constants) != sim::ExpertKernel::marlin;
  if (family == KernelFamily::gemm || experts)
    constants.sm_feed *= tensor_rate_of_an_sm(to) / tensor_rate_of_an_sm(from);
  constants.l2_multiple *= sms_for_a_byte(to) / sms_for_a_byte(from);
  return constants;
}

}  // namespace pregate::validation
