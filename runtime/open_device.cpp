// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/error.hpp"
#include "runtime/cuda/cuda_module.hpp"
#include "runtime/device.hpp"
#include "runtime/host/blas.hpp"
#include "runtime/host/host_device.hpp"
#include "runtime/module.hpp"

namespace pregate::runtime {

namespace {

LoadedModule load_cuda() {
#if PREGATE_WITH_CUDA
  return load_module("cuda", module_folders(),
                     "it needs the CUDA runtime and cuBLAS (libcudart.so." PREGATE_CUDA_MAJOR
                     ", libcublas.so." PREGATE_CUDA_MAJOR
                     "): install them, or name their folder in LD_LIBRARY_PATH; --device host needs neither");
#else
  return {.problem = "this program was built without CUDA",
          .hint = "build with -DPREGATE_CUDA=ON, or use --device host"};
#endif
}

LoadedModule load_blas() {
  return load_module(
      "blas", module_folders(),
      "it needs OpenBLAS (libopenblas.so.0): install it, or name its folder in LD_LIBRARY_PATH");
}

/// InputError where it was not loaded.
template <class Functions>
const Functions& functions_of(const LoadedModule& module, const char* device) {
  if (module.functions == nullptr) throw InputError(device, module.problem, module.hint);
  return *static_cast<const Functions*>(module.functions);
}

}  // namespace

std::unique_ptr<Device> open_device(const std::string& name, const DeviceOptions& options) {
  if (name == "host") return open_host_device(options, functions_of<Blas>(load_blas(), "--device host"));
  if (name == "cuda") return functions_of<CudaFunctions>(load_cuda(), "--device cuda").open(options);
  throw InputError("--device", "there is no device '" + name + "'", "the devices are: host, cuda");
}

bool cuda_available(std::string& reason) {
  const LoadedModule module = load_cuda();
  reason = module.problem;
  return module.functions != nullptr && functions_of<CudaFunctions>(module, "").answers(reason);
}

}  // namespace pregate::runtime
