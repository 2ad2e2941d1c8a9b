// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/kernel_times.hpp"

#include <cmath>
#include <utility>

#include "models/error.hpp"
#include "models/fields/choices.hpp"

namespace pregate::sim {

GpuKernelTimes::GpuKernelTimes(GpuKernels kernels)
    : kernels_(std::move(kernels)), peaks_(kernels_.peaks), source_(KernelSource::measured) {}

GpuKernelTimes::GpuKernelTimes(GpuKernels kin, KernelPeaks peaks)
    : kernels_(std::move(kin)), peaks_(std::move(peaks)), source_(KernelSource::by_kin) {}

std::optional<double> GpuKernelTimes::expected_error(KernelFamily family, std::string_view dtype) const {
  const KernelFit* fit = kernels_.find(family, dtype);
  if (fit == nullptr || fit->judged_rows == 0) return std::nullopt;
  if (source_ == KernelSource::measured) return fit->median;
  return fit->kin_median > 0 ? std::optional(fit->kin_median) : std::nullopt;
}

const KernelConstants& GpuKernelTimes::constants(KernelFamily family, std::string_view dtype) const {
  for (const std::string_view name : {dtype, std::string_view("bf16")}) {
    if (const KernelFit* fit = kernels_.find(family, name)) return fit->constants;
  }
  throw InputError("kernels of " + kernels_.name, "no constants for " + std::string(to_string(family)),
                   "models/catalog/kernels has those that were measured");
}

double GpuKernelTimes::gemm(const GemmShape& shape, std::string_view dtype) const {
  return gemm_time(shape, peaks_, kernel_format(dtype), constants(KernelFamily::gemm, dtype));
}

double GpuKernelTimes::fused_moe(const MoeShape& shape, std::string_view dtype) const {
  return fused_moe_time(shape, peaks_, kernel_format(dtype), constants(KernelFamily::fused_moe, dtype));
}

double GpuKernelTimes::attention_decode(const AttentionShape& shape, std::string_view dtype) const {
  return attention_decode_time(shape, peaks_, kernel_format(dtype),
                               constants(KernelFamily::attention_decode, dtype));
}

double GpuKernelTimes::attention_prefill(const AttentionShape& shape, std::string_view dtype) const {
  return attention_prefill_time(shape, peaks_, kernel_format(dtype),
                                constants(KernelFamily::attention_prefill, dtype));
}

double GpuKernelTimes::mla_decode(const MlaShape& shape, std::string_view dtype) const {
  return mla_decode_time(shape, peaks_, kernel_format(dtype), constants(KernelFamily::mla_decode, dtype));
}

double GpuKernelTimes::mla_layer_decode(const MlaShape& shape, std::string_view dtype,
                                        std::string_view weights) const {
  return mla_layer_decode_time(shape, peaks_, kernel_format(dtype), kernel_format(weights),
                               constants(KernelFamily::mla_layer_decode, dtype));
}

double GpuKernelTimes::linear_attention_decode(const LinearShape& shape) const {
  return conv_decode_time(shape, peaks_, constants(KernelFamily::conv_decode, "bf16")) +
         delta_decode_time(shape, peaks_, constants(KernelFamily::delta_decode, "bf16"));
}

double GpuKernelTimes::linear_attention_prefill(const LinearShape& shape) const {
  return conv_prefill_time(shape, peaks_, constants(KernelFamily::conv_prefill, "bf16")) +
         delta_prefill_time(shape, peaks_, constants(KernelFamily::delta_prefill, "bf16"));
}

KernelPeaks kernel_peaks(const GpuSpec& gpu) {
  KernelPeaks peaks;
  peaks.memory_bandwidth = gpu.memory_bandwidth;
  peaks.sm_count = gpu.sm_count;
  for (const char* precision : {"bf16", "fp8", "fp4"}) {
    const auto found = gpu.rates.find(precision);
    if (found != gpu.rates.end()) peaks.rates.emplace(precision, found->second);
  }
  // A GPU older than bf16 runs it as fp16, where it has that.
  if (peaks.rates.find("bf16") == peaks.rates.end()) peaks.rates.emplace("bf16", compute_rate(gpu, "bf16"));
  return peaks;
}

bool is_measured_gpu(const GpuSpec& gpu, const GpuKernels& measured) {
  const KernelPeaks own = kernel_peaks(gpu);
  const auto near = [](double a, double b) { return std::abs(a / b - 1) <= 0.01; };
  for (const auto& [precision, rate] : own.rates) {
    const auto known = measured.peaks.rates.find(precision);
    if (known != measured.peaks.rates.end() && !near(rate.value, known->second.value)) return false;
  }
  return name_of(gpu.architecture) == measured.architecture && own.sm_count == measured.peaks.sm_count &&
         near(own.memory_bandwidth.value, measured.peaks.memory_bandwidth.value);
}

GpuKernelTimes kernel_times_of(const MachineSpec& machine) {
  const std::string architecture = name_of(machine.gpu.architecture);
  std::optional<GpuKernels> kin;
  std::string measured_architectures;
  for (const std::string& name : kernel_gpu_names()) {
    GpuKernels kernels = load_gpu_kernels(name);
    measured_architectures += (measured_architectures.empty() ? "" : ", ") + kernels.architecture;
    if (kernels.architecture != architecture) continue;
    if (is_measured_gpu(machine.gpu, kernels)) return GpuKernelTimes(std::move(kernels));
    if (!kin) kin = std::move(kernels);
  }
  if (kin) return {std::move(*kin), kernel_peaks(machine.gpu)};
  throw InputError("machine " + printable(machine.name),
                   "its kernel_library has no times for a GPU of the architecture '" + architecture + "'",
                   "measured: " + measured_architectures +
                       "; choose a software without kernels.origin (pregate list software)");
}

}  // namespace pregate::sim
