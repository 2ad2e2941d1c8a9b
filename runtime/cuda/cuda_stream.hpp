// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <driver_types.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cuda/cublas.hpp"
#include "runtime/device.hpp"

namespace pregate::runtime::cuda {

/// Host work in a stream, and what it threw.
struct HostCall {
  std::function<void()> work;
  std::exception_ptr failure;
};

/// A non-blocking stream: nothing on it waits for the default stream, which is never used.
class CudaStream final : public Stream {
 public:
  CudaStream(int device, std::string name);
  /// Operations that were issued run to their end.
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  void record(Event& event) override;
  void wait(const Event& event) override;
  void synchronize() override;
  void copy_to_device(DeviceSpan to, PageLockedSpan from) override;
  void copy_to_host(PageLockedSpan to, DeviceSpan from) override;
  void copy_on_device(DeviceSpan to, DeviceSpan from) override;
  void copy_from_peer(DeviceSpan to, const Device& other, DeviceSpan from) override;
  void fill_zero(DeviceSpan what) override;
  void gemm(const Gemm& gemm) override;
  void launch(const KernelArgs& args) override;
  void call(std::function<void()> work) override;

 private:
  void copy(void* to, const void* from, Bytes to_size, Bytes from_size, cudaMemcpyKind kind);

  int device_;
  std::string name_;
  cudaStream_t stream_ = nullptr;
  std::optional<Cublas> cublas_;                  ///< made by the first GEMM
  std::vector<std::unique_ptr<HostCall>> calls_;  ///< since the last synchronize()
};

}  // namespace pregate::runtime::cuda
