// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/cuda_error.hpp"

namespace pregate::kernels {

/// Device memory for a test, between two guards of 64 bytes: a write outside is found when the values are
/// read back. What a kernel does not write keeps the byte 0x5a.
template <class Value>
class DeviceArray {
 public:
  /// `shift` moves the first value off its 256-byte alignment by as many values (at most 8).
  explicit DeviceArray(std::size_t count, std::size_t shift = 0)
      : count_(count), first_(guard + shift * sizeof(Value)), bytes_(first_ + count * sizeof(Value) + guard) {
    cuda::check_cuda(cudaMalloc(&memory_, bytes_),
                     "cudaMalloc of " + std::to_string(bytes_) + " B for a test");
    cuda::check_cuda(cudaMemset(memory_, 0x5a, bytes_), "cudaMemset");
  }
  explicit DeviceArray(const std::vector<Value>& values, std::size_t shift = 0)
      : DeviceArray(values.size(), shift) {
    if (!values.empty())
      cuda::check_cuda(cudaMemcpy(data(), values.data(), count_ * sizeof(Value), cudaMemcpyHostToDevice),
                       "cudaMemcpy to the device");
  }
  ~DeviceArray() { cudaFree(memory_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  [[nodiscard]] Value* data() { return reinterpret_cast<Value*>(static_cast<std::byte*>(memory_) + first_); }

  /// Waits for the default stream. Throws std::logic_error when a guard was written to.
  [[nodiscard]] std::vector<Value> values() const {
    std::vector<std::byte> all(bytes_);
    cuda::check_cuda(cudaMemcpy(all.data(), memory_, bytes_, cudaMemcpyDeviceToHost),
                     "cudaMemcpy from the device");
    const auto is_untouched = [](std::byte byte) { return byte == std::byte{0x5a}; };
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(first_);
    const auto last = first + static_cast<std::ptrdiff_t>(count_ * sizeof(Value));
    if (!std::all_of(all.begin(), first, is_untouched) || !std::all_of(last, all.end(), is_untouched))
      throw std::logic_error("a kernel wrote outside its array");
    std::vector<Value> values(count_);
    if (count_ != 0) std::memcpy(values.data(), &*first, count_ * sizeof(Value));
    return values;
  }

 private:
  static constexpr std::size_t guard = 64;
  void* memory_ = nullptr;
  std::size_t count_;
  std::size_t first_;  // in bytes
  std::size_t bytes_;
};

}  // namespace pregate::kernels
