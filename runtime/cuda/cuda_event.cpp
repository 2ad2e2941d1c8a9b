// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/cuda_event.hpp"

#include <cuda_runtime_api.h>

#include <cmath>

#include "runtime/cuda/check.hpp"
#include "runtime/cuda/current_device.hpp"

namespace pregate::runtime::cuda {

CudaEvent::CudaEvent(int device) {
  use_device(device);
  check(cudaEventCreateWithFlags(&event_, cudaEventBlockingSync), [] { return "cudaEventCreateWithFlags"; });
}

CudaEvent::~CudaEvent() { static_cast<void>(cudaEventDestroy(event_)); }

void CudaEvent::record(cudaStream_t stream, const std::string& stream_name) {
  check(cudaEventRecord(event_, stream), [&] { return "cudaEventRecord on stream " + stream_name; });
  recorded_ = true;
}

bool CudaEvent::is_done() const {
  if (!recorded_) return true;
  const cudaError_t status = cudaEventQuery(event_);
  if (status == cudaErrorNotReady) {
    static_cast<void>(cudaGetLastError());  // an answer, which CUDA remembers like an error
    return false;
  }
  check(status, [] { return "cudaEventQuery"; });
  return true;
}

void CudaEvent::synchronize() const {
  if (recorded_) check(cudaEventSynchronize(event_), [] { return "cudaEventSynchronize"; });
}

Picoseconds elapsed(const CudaEvent& from, const CudaEvent& to) {
  if (!from.is_recorded() || !to.is_recorded())
    throw std::logic_error("time between events of which one was never recorded");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, from.get(), to.get()), [] { return "cudaEventElapsedTime"; });
  return {std::llround(static_cast<double>(milliseconds) * 1e9)};
}

}  // namespace pregate::runtime::cuda
