// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/collective_model.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "models/error.hpp"

namespace pregate::sim {
double ring_volume(Collective kind, double bytes, int gpus) {
  return (kind == Collective::all_reduce ? 2 : 1) * bytes * (gpus - 1) / gpus;
}

double nccl_time(Collective kind, double bytes, int gpus, const CollectiveConstants& constants) {
  const double steps = gpus - 1;
  const double volume = ring_volume(kind, bytes, gpus) * std::pow(gpus / 2.0, constants.sharing);
  if (bytes < constants.switch_bytes)
    return constants.low_floor_s + constants.low_step_s * steps + volume / constants.low_rate;
  return constants.bulk_floor_s + constants.bulk_step_s * steps + volume / constants.bulk_rate +
         bytes / constants.own_rate;
}

bool is_own_all_reduce(double bytes, int gpus, GpuLinks links) {
  constexpr double most_bytes =
      8.0 * 1024 * 1024;  // vllm/distributed/device_communicators/custom_all_reduce.py
  return bytes < most_bytes && (gpus == 2 || links == GpuLinks::nvlink);
}

double own_all_reduce_time(double bytes, int gpus, const CollectiveConstants& constants) {
  // csrc/custom_all_reduce.cuh: from which size on each GPU adds up but its part.
  const double whole = gpus <= 2 ? HUGE_VAL : (gpus <= 4 ? 512.0 : 256.0) * 1024;
  const double steps = gpus - 1;
  if (bytes < whole)
    return constants.low_floor_s + constants.low_step_s * steps + bytes * steps / constants.low_rate;
  return constants.bulk_floor_s + constants.bulk_step_s * steps +
         ring_volume(Collective::all_reduce, bytes, gpus) / constants.bulk_rate;
}

const CollectiveFit& kernels_of(Collective kind, CollectiveLibrary library, double bytes, int gpus,
                                const GpuCollectives& gpu) {
  const CollectiveFit* fit = nullptr;
  if (library == CollectiveLibrary::vllm) {
    fit = gpu.find(
        is_own_all_reduce(bytes, gpus, gpu.links) ? CollectiveKernels::vllm : CollectiveKernels::nccl_in_vllm,
        kind);
  }
  if (fit == nullptr) fit = gpu.find(CollectiveKernels::nccl, kind);
  if (fit == nullptr) {
    throw InputError("collectives of " + gpu.name, "no constants for " + std::string(to_string(kind)),
                     "models/catalog/collectives has those that were measured");
  }
  return *fit;
}

double collective_time(Collective kind, CollectiveLibrary library, CollectiveLaunch launch, double bytes,
                       int gpus, const GpuCollectives& gpu) {
  const CollectiveFit& fit = kernels_of(kind, library, bytes, gpus, gpu);
  const bool own = fit.kernels == CollectiveKernels::vllm;
  const double replayed =
      own ? own_all_reduce_time(bytes, gpus, fit.constants) : nccl_time(kind, bytes, gpus, fit.constants);
  if (launch == CollectiveLaunch::graph) return replayed;
  // vLLM's all-reduce by NCCL leaves its input as it is: the sum is made in a copy.
  const bool copies = library == CollectiveLibrary::vllm && kind == Collective::all_reduce && !own;
  return std::max(own ? gpu.eager_s : gpu.eager_nccl_s,
                  replayed + (copies ? bytes / gpu.eager_copy.value : 0));
}

}  // namespace pregate::sim
