// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublas_v2.h>
#include <driver_types.h>

#include <string>

#include "runtime/device_error.hpp"

namespace pregate::runtime::cuda {

/// "<CUDA's explanation> (<CUDA's name of the error>)". Also clears what CUDA remembers of it for this
/// thread, so that nobody later takes it for their own; errors that broke the device stay all the same.
std::string explain(cudaError_t status);

[[noreturn]] void fail(cudaError_t status, const std::string& call);
[[noreturn]] void fail(cublasStatus_t status, const std::string& call);

/// Throws DeviceError unless the call succeeded. `describe()` gives the call's text with the sizes that
/// matter; it is asked only then, as these checks are on the path of every operation. Operations run later
/// than they are issued: a status may be about an earlier one.
template <class Status, class Describe>
void check(Status status, const Describe& describe) {
  if (status != Status{}) fail(status, describe());  // both libraries' success is 0
}

}  // namespace pregate::runtime::cuda
