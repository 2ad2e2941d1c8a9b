// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/cuda_stream.hpp"

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <utility>

#include "kernels/cuda.hpp"
#include "kernels/cuda_error.hpp"
#include "runtime/cuda/check.hpp"
#include "runtime/cuda/cuda_device.hpp"
#include "runtime/cuda/cuda_event.hpp"
#include "runtime/cuda/current_device.hpp"

namespace pregate::runtime::cuda {

namespace {

const char* direction(cudaMemcpyKind kind) {
  if (kind == cudaMemcpyHostToDevice) return "to the device";
  return kind == cudaMemcpyDeviceToHost ? "to the host" : "on the device";
}

void run_kernel(const kernels::OrderArgs& args, cudaStream_t stream) { kernels::cuda::order(args, stream); }
template <class Element>
void run_kernel(const kernels::RouterArgs<Element>& args, cudaStream_t stream) {
  kernels::cuda::router(args, stream);
}
template <class Element>
void run_kernel(const kernels::PermuteArgs<Element>& args, cudaStream_t stream) {
  kernels::cuda::permute(args, stream);
}
template <class Element>
void run_kernel(const kernels::ActivationArgs<Element>& args, cudaStream_t stream) {
  kernels::cuda::activation(args, stream);
}
template <class Element>
void run_kernel(const kernels::CombineArgs<Element>& args, cudaStream_t stream) {
  kernels::cuda::combine(args, stream);
}
template <class Element>
void run_kernel(const kernels::RmsNormArgs<Element>& args, cudaStream_t stream) {
  kernels::cuda::rms_norm(args, stream);
}
template <class Element>
void run_kernel(const kernels::AttentionArgs<Element>& args, cudaStream_t stream) {
  kernels::cuda::attention(args, stream);
}
template <class Element>
void run_kernel(const kernels::DequantizeArgs<Element>& args, cudaStream_t stream) {
  kernels::cuda::dequantize(args, stream);
}

}  // namespace

CudaStream::CudaStream(int device, std::string name) : device_(device), name_(std::move(name)) {
  use_device(device_);
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
        [&] { return "cudaStreamCreateWithFlags of " + name_; });
}

CudaStream::~CudaStream() {
  cublas_.reset();                                                         // it works on the stream
  if (!calls_.empty()) static_cast<void>(cudaStreamSynchronize(stream_));  // they may still be called
  static_cast<void>(cudaStreamDestroy(stream_));
}

void CudaStream::record(Event& event) { static_cast<CudaEvent&>(event).record(stream_, name_); }

void CudaStream::wait(const Event& event) {
  const auto& cuda_event = static_cast<const CudaEvent&>(event);
  if (!cuda_event.is_recorded())
    throw std::logic_error("stream " + name_ + " waits for an event that was never recorded");
  check(cudaStreamWaitEvent(stream_, cuda_event.get(), 0), [&] { return "cudaStreamWaitEvent on " + name_; });
}

void CudaStream::synchronize() {
  check(cudaStreamSynchronize(stream_), [&] { return "cudaStreamSynchronize of " + name_; });
  // Not before: a function that has not run, as after a failure of the device, may still be called.
  std::exception_ptr failure;
  for (const std::unique_ptr<HostCall>& done : calls_) {
    if (!failure) failure = done->failure;
  }
  calls_.clear();
  if (failure) std::rethrow_exception(failure);
}

void CudaStream::copy(void* to, const void* from, Bytes to_size, Bytes from_size, cudaMemcpyKind kind) {
  if (to_size != from_size) throw std::invalid_argument("a copy between ranges of different size");
  if (to_size.count == 0) return;
  use_device(device_);
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(to_size.count), kind, stream_), [&] {
    return "cudaMemcpyAsync of " + to_string(to_size) + " " + direction(kind) + " on stream " + name_;
  });
}

void CudaStream::copy_to_device(DeviceSpan to, PageLockedSpan from) {
  copy(to.data(), from.data(), to.size(), from.size(), cudaMemcpyHostToDevice);
}
void CudaStream::copy_to_host(PageLockedSpan to, DeviceSpan from) {
  copy(to.data(), from.data(), to.size(), from.size(), cudaMemcpyDeviceToHost);
}
void CudaStream::copy_on_device(DeviceSpan to, DeviceSpan from) {
  copy(to.data(), from.data(), to.size(), from.size(), cudaMemcpyDeviceToDevice);
}

void CudaStream::copy_from_peer(DeviceSpan to, const Device& other, DeviceSpan from) {
  if (to.size() != from.size()) throw std::invalid_argument("a copy between ranges of different size");
  if (to.size().count == 0) return;
  use_device(device_);
  const int source = index_of(other);
  check(cudaMemcpyPeerAsync(to.data(), device_, from.data(), source,
                            static_cast<std::size_t>(to.size().count), stream_),
        [&] {
          return "cudaMemcpyPeerAsync of " + to_string(to.size()) + " from device " + std::to_string(source) +
                 " on stream " + name_;
        });
}

void CudaStream::fill_zero(DeviceSpan what) {
  if (what.size().count == 0) return;
  use_device(device_);
  check(cudaMemsetAsync(what.data(), 0, static_cast<std::size_t>(what.size().count), stream_),
        [&] { return "cudaMemsetAsync of " + to_string(what.size()) + " on stream " + name_; });
}

void CudaStream::gemm(const Gemm& gemm) {
  check_gemm(gemm);
  if (gemm.rows == 0) return;
  use_device(device_);
  if (!cublas_) cublas_.emplace(device_, stream_, name_);
  cublas_->multiply(gemm, name_);
}

void CudaStream::launch(const KernelArgs& args) {
  use_device(device_);
  try {
    std::visit([this](const auto& a) { run_kernel(a, stream_); }, args);
  } catch (const kernels::cuda::CudaError& error) {
    static_cast<void>(cudaGetLastError());
    throw DeviceError(std::string(error.what()) + " on stream " + name_);
  }
}

namespace {

/// As CUDA calls it: nothing may be thrown through it.
void CUDART_CB run_call(void* argument) {
  auto& call = *static_cast<HostCall*>(argument);
  try {
    call.work();
  } catch (...) {
    call.failure = std::current_exception();
  }
}

}  // namespace

void CudaStream::call(std::function<void()> work) {
  calls_.push_back(std::make_unique<HostCall>(HostCall{std::move(work), nullptr}));
  check(cudaLaunchHostFunc(stream_, run_call, calls_.back().get()),
        [&] { return "cudaLaunchHostFunc on " + name_; });
}

}  // namespace pregate::runtime::cuda
