// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"
#include "runtime/device.hpp"
#include "runtime/host/host_device.hpp"

#if PREGATE_WITH_CUDA
#include "runtime/cuda/cuda_device.hpp"
#endif

namespace pregate::runtime {

std::unique_ptr<Device> open_device(const std::string& name, const DeviceOptions& options) {
  if (name == "host") return open_host_device(options);
  if (name != "cuda")
    throw InputError("--device", "there is no device '" + name + "'", "the devices are: host, cuda");
#if PREGATE_WITH_CUDA
  return open_cuda_device(options);
#else
  throw InputError("--device cuda", "this program was built without CUDA",
                   "build with -DPREGATE_CUDA=ON, or use --device host");
#endif
}

bool cuda_available(std::string& reason) {
#if PREGATE_WITH_CUDA
  return cuda_device_answers(reason);
#else
  reason = "built without CUDA";
  return false;
#endif
}

}  // namespace pregate::runtime
