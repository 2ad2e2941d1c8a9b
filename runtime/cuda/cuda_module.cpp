// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/cuda_module.hpp"

#include "runtime/cuda/cuda_device.hpp"
#include "runtime/module.hpp"

namespace pregate::runtime {

namespace {

constexpr CudaFunctions functions{cuda_device_answers, open_cuda_device};

}  // namespace

}  // namespace pregate::runtime

const pregate::runtime::Module pregate_module_v1{pregate::runtime::module_build,
                                                 &pregate::runtime::functions};
