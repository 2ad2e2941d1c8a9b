// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "runtime/device.hpp"

namespace pregate::runtime {

/// The functions of the module `cuda`; what they do: cuda_device.hpp.
struct CudaFunctions {
  bool (*answers)(std::string& reason);
  std::unique_ptr<Device> (*open)(const DeviceOptions& options);
};

}  // namespace pregate::runtime
