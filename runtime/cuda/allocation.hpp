// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "models/units.hpp"

namespace pregate::runtime::cuda {

/// Waits first until the device is idle: on an error path operations may still use the memory. Never throws;
/// what fails here has failed before.
struct FreeDevice {
  int device = 0;
  void operator()(void* data) const noexcept;
};
/// Waits for the device whose streams copy from and to it.
struct FreePinned {
  int device = 0;
  void operator()(void* data) const noexcept;
};
using DeviceAllocation = std::unique_ptr<void, FreeDevice>;
using PageLockedAllocation = std::unique_ptr<void, FreePinned>;

/// Plain memory of the device (never unified). Throws OutOfMemory; `allowed` is what a budget leaves, for its
/// text.
DeviceAllocation allocate_device(int device, Bytes size, Bytes allowed, const std::string& purpose);
/// Page-locked memory of the host, which copies run from and to asynchronously. Throws OutOfMemory.
PageLockedAllocation allocate_page_locked(int device, Bytes size, const std::string& purpose);

struct MemoryOfDevice {
  Bytes free, total;
};
MemoryOfDevice memory_of_device(int device);

}  // namespace pregate::runtime::cuda
