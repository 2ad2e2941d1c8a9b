// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device.hpp"
#include "runtime/host/blas.hpp"
#include "runtime/host/worker.hpp"
#include "runtime/weights/direct_file.hpp"

namespace pregate::runtime {

/// A stream of the host device: a thread that copies and computes in order.
class HostStream final : public Stream {
 public:
  HostStream(const std::string& name, const std::vector<int>& cores, int spins, const Blas& blas)
      : blas_(blas), worker_(name, cores, spins) {}

  void record(Event& event) override;
  void wait(const Event& event) override;
  void synchronize() override;
  void copy_to_device(DeviceSpan to, PageLockedSpan from) override;
  void read_to_device(DeviceSpan to, const DirectFile& from, Bytes at) override;
  void copy_to_host(PageLockedSpan to, DeviceSpan from) override;
  void copy_on_device(DeviceSpan to, DeviceSpan from) override;
  void copy_from_peer(DeviceSpan to, const Device& other, DeviceSpan from) override;
  void fill_zero(DeviceSpan what) override;
  void gemm(const Gemm& gemm) override;
  void launch(const KernelArgs& args) override;
  void call(std::function<void()> work) override;

 private:
  void copy(std::byte* to, const std::byte* from, Bytes to_size, Bytes from_size);

  const Blas& blas_;                      // of a module, which is never closed
  std::unique_ptr<DirectReader> reader_;  // made with the first read, then the worker's
  Worker worker_;
};

}  // namespace pregate::runtime
