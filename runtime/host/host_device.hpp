// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "runtime/device.hpp"
#include "runtime/host/blas.hpp"

namespace pregate::runtime {

/// A device made of this machine's own processor and memory: one thread a stream, real copies between a
/// page-locked area and a budgeted one, GEMMs by `blas`, which must outlive it, the kernels' CPU references.
/// Computes in fp32. The compute stream (the one named "compute") has cores of its own where there are two or
/// more.
std::unique_ptr<Device> open_host_device(const DeviceOptions& options, const Blas& blas);

}  // namespace pregate::runtime
