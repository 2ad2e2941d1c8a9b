// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/cuda_device.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "models/error.hpp"
#include "runtime/cuda/allocation.hpp"
#include "runtime/cuda/check.hpp"
#include "runtime/cuda/cuda_event.hpp"
#include "runtime/cuda/cuda_stream.hpp"
#include "runtime/cuda/current_device.hpp"
#include "runtime/host/cores.hpp"

namespace pregate::runtime {

namespace cuda {
namespace {

/// 512 MiB of a large GPU.
Bytes reserve_of(Bytes free) { return {std::min(std::int64_t{512} << 20, free.count / 8)}; }

std::string version_text(int version) {  // 1000 * major + 10 * minor
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int attribute(cudaDeviceAttr which, int device, const char* what) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device),
        [&] { return std::string("cudaDeviceGetAttribute of ") + what; });
  return value;
}

/// Empty where the driver does not tell.
std::string clocks_of(int device) {
  const int core = attribute(cudaDevAttrClockRate, device, "the clock rate");
  const int memory = attribute(cudaDevAttrMemoryClockRate, device, "the memory clock rate");
  std::string text;
  if (core > 0) text = "up to " + std::to_string(core / 1000) + " MHz";
  if (core > 0 && memory > 0) text += ", ";
  if (memory > 0) text += "memory " + std::to_string(memory / 1000) + " MHz";
  return text;
}

std::string software() {
  int driver = 0, runtime = 0;
  check(cudaDriverGetVersion(&driver), [] { return "cudaDriverGetVersion"; });
  check(cudaRuntimeGetVersion(&runtime), [] { return "cudaRuntimeGetVersion"; });
  return "CUDA driver " + version_text(driver) + ", runtime " + version_text(runtime);
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(const DeviceOptions& options) : index_(options.index) {
    const int device = index_;
    use_device(device);
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), [] { return "cudaGetDeviceProperties"; });
    info_.kind = "cuda";
    info_.name = properties.name;
    info_.software = software();
    info_.clocks = clocks_of(device);
    info_.compute_units = properties.multiProcessorCount;
    info_.types = {ElementType::f32, ElementType::f16, ElementType::bf16};
    info_.cpu_cores = usable_cores();
    const auto cores = static_cast<int>(info_.cpu_cores.size());
    if (options.cpu_threads > cores) {
      throw InputError(
          "--cpu-threads",
          std::to_string(options.cpu_threads) + " cores, but this machine has " + std::to_string(cores),
          "give fewer, or leave it out");
    }
    const int computing = options.cpu_threads > 0 ? options.cpu_threads : cores - 1;
    info_.cpu_cores.resize(static_cast<std::size_t>(std::clamp(computing, 1, cores)));

    const MemoryOfDevice memory = memory_of_device(device);
    if (options.memory > memory.free) {
      throw InputError("--gpu-memory",
                       to_string(options.memory) + " is more than what is free on " + info_.name + ": " +
                           to_string(memory.free) + " of " + to_string(memory.total),
                       "leave it out, or give a smaller budget");
    }
    info_.memory = options.memory.count > 0 ? options.memory : memory.free - reserve_of(memory.free);
  }

  [[nodiscard]] const DeviceInfo& info() const override { return info_; }
  std::unique_ptr<Stream> make_stream(const std::string& name) override {
    return std::make_unique<CudaStream>(index_, name);
  }
  std::unique_ptr<Event> make_event() override { return std::make_unique<CudaEvent>(index_); }
  [[nodiscard]] int index() const { return index_; }

  bool reach(Device& other) override {
    const int peer = index_of(other);
    int can = 0;
    check(cudaDeviceCanAccessPeer(&can, index_, peer), [] { return "cudaDeviceCanAccessPeer"; });
    if (can == 0) return false;
    use_device(index_);
    const cudaError_t status = cudaDeviceEnablePeerAccess(peer, 0);
    if (status == cudaErrorPeerAccessAlreadyEnabled) {
      static_cast<void>(cudaGetLastError());
      return true;
    }
    check(status, [&] { return "cudaDeviceEnablePeerAccess to device " + std::to_string(peer); });
    return true;
  }

  DeviceMemory allocate(Bytes size, const std::string& purpose) override {
    if (size.count == 0) return {};
    const Bytes left{info_.memory.count - used_.fetch_add(size.count)};
    DeviceAllocation memory;
    try {
      memory = allocate_device(index_, size, left, purpose);
    } catch (...) {
      used_.fetch_sub(size.count);
      throw;
    }
    const auto release = [](void* owner, std::byte* data, std::size_t length) {
      FreeDevice{static_cast<CudaDevice*>(owner)->index_}(data);
      static_cast<CudaDevice*>(owner)->used_.fetch_sub(static_cast<std::int64_t>(length));
    };
    return {static_cast<std::byte*>(memory.release()), size, release, this};
  }

  PageLockedMemory allocate_page_locked(Bytes size, const std::string& purpose) override {
    if (size.count == 0) return {};
    const auto release = [](void* owner, std::byte* data, std::size_t) {
      FreePinned{static_cast<CudaDevice*>(owner)->index_}(data);
    };
    return {static_cast<std::byte*>(cuda::allocate_page_locked(index_, size, purpose).release()), size,
            release, this};
  }

  [[nodiscard]] bool is_done(const Event& event) override {
    return static_cast<const CudaEvent&>(event).is_done();
  }
  void synchronize(const Event& event) override { static_cast<const CudaEvent&>(event).synchronize(); }
  [[nodiscard]] Picoseconds elapsed(const Event& from, const Event& to) override {
    return cuda::elapsed(static_cast<const CudaEvent&>(from), static_cast<const CudaEvent&>(to));
  }

 private:
  int index_;
  DeviceInfo info_;
  std::atomic<std::int64_t> used_{0};
};

}  // namespace

int index_of(const Device& device) {
  const auto* const cuda_device = dynamic_cast<const CudaDevice*>(&device);
  if (cuda_device == nullptr) throw std::logic_error("a copy between devices of different kinds");
  return cuda_device->index();
}

}  // namespace cuda

bool cuda_device_answers(std::string& reason) {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess) {
    reason = "cudaGetDeviceCount: " + cuda::explain(status);
  } else if (devices == 0) {
    reason = "cudaGetDeviceCount: there is none";
  }
  return status == cudaSuccess && devices > 0;
}

std::unique_ptr<Device> open_cuda_device(const DeviceOptions& options) {
  std::string reason;
  if (!cuda_device_answers(reason)) {
    throw InputError("--device cuda", "no CUDA device answers (" + reason + "); use --device host");
  }
  int devices = 0;
  cuda::check(cudaGetDeviceCount(&devices), [] { return "cudaGetDeviceCount"; });
  if (options.index < 0 || options.index >= devices)
    throw InputError("--device cuda", "there is no CUDA device " + std::to_string(options.index) + ", but " +
                                          std::to_string(devices));
  return std::make_unique<cuda::CudaDevice>(options);
}

}  // namespace pregate::runtime
