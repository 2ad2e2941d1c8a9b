// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include <cublas_v2.h>

/// The type behind cublasHandle_t.
struct cublasContext {
  cudaStream_t stream = nullptr;
  cublasPointerMode_t pointer_mode = CUBLAS_POINTER_MODE_HOST;
  cublasMath_t math_mode = CUBLAS_DEFAULT_MATH;
};

namespace pregate::standin {

/// Counts the call and checks the handle: what the function has to return at once, or CUBLAS_STATUS_SUCCESS.
cublasStatus_t enter(const char* name, cublasHandle_t handle);

}  // namespace pregate::standin

#define STANDIN_API extern "C" __attribute__((visibility("default")))
