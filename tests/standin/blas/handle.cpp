// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/blas/handle.hpp"

#include <mutex>
#include <set>

#include "tests/standin/runtime/hidden_lock.hpp"
#include "tests/standin/runtime/seam.hpp"

namespace pregate::standin {
namespace {

struct Handles {
  HiddenLock lock;
  std::set<cublasHandle_t> live;
};

Handles& handles() {
  static auto* const made = new Handles;  // never destroyed: the program's own destructors may still call
  return *made;
}

}  // namespace

cublasStatus_t enter(const char* name, cublasHandle_t handle) {
  if (standin_count_call(name) != 0) return CUBLAS_STATUS_EXECUTION_FAILED;
  Handles& all = handles();
  const std::lock_guard guard(all.lock);
  if (all.live.contains(handle)) return CUBLAS_STATUS_SUCCESS;
  standin_report("handle", "cuBLAS: destroyed or unknown handle");
  return CUBLAS_STATUS_NOT_INITIALIZED;
}

}  // namespace pregate::standin

using namespace pregate::standin;

STANDIN_API cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  if (standin_count_call("cublasCreate") != 0) return CUBLAS_STATUS_ALLOC_FAILED;
  *handle = new cublasContext;
  const std::lock_guard guard(handles().lock);
  handles().live.insert(*handle);
  return CUBLAS_STATUS_SUCCESS;
}

STANDIN_API cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  const int injected = standin_count_call("cublasDestroy");
  {
    const std::lock_guard guard(handles().lock);
    if (handles().live.erase(handle) == 0) return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  delete handle;
  return injected == 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INTERNAL_ERROR;
}

STANDIN_API cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  const cublasStatus_t status = enter("cublasSetStream", handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (!standin_is_stream(stream)) return CUBLAS_STATUS_INVALID_VALUE;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

STANDIN_API cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t* stream) {
  const cublasStatus_t status = enter("cublasGetStream", handle);
  if (status == CUBLAS_STATUS_SUCCESS) *stream = handle->stream;
  return status;
}

STANDIN_API cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  const cublasStatus_t status = enter("cublasSetMathMode", handle);
  if (status == CUBLAS_STATUS_SUCCESS) handle->math_mode = mode;
  return status;
}

STANDIN_API cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
  const cublasStatus_t status = enter("cublasGetMathMode", handle);
  if (status == CUBLAS_STATUS_SUCCESS) *mode = handle->math_mode;
  return status;
}

STANDIN_API cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
  const cublasStatus_t status = enter("cublasSetPointerMode", handle);
  if (status == CUBLAS_STATUS_SUCCESS) handle->pointer_mode = mode;
  return status;
}

/// The workspace is checked but not used.
STANDIN_API cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, std::size_t size) {
  const cublasStatus_t status = enter("cublasSetWorkspace", handle);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  return workspace == nullptr && size > 0 ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}

STANDIN_API cublasStatus_t cublasGetVersion_v2(cublasHandle_t /*handle*/, int* version) {
  *version = CUBLAS_VERSION;
  return CUBLAS_STATUS_SUCCESS;
}

STANDIN_API const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "unknown status";
}

STANDIN_API const char* cublasGetStatusString(cublasStatus_t status) { return cublasGetStatusName(status); }
