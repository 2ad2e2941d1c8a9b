// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host/host_device.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>

#include "models/error.hpp"
#include "runtime/host/cores.hpp"
#include "runtime/host/host_event.hpp"
#include "runtime/host/host_stream.hpp"
#include "runtime/host/system_memory.hpp"

namespace pregate::runtime {

namespace {

/// About 2 ms: longer than a copy of an expert lets the compute stream wait.
constexpr int patient_spins = 50'000;

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

/// Pages that are there: what is timed later must not be their first touch.
std::byte* map_pages(std::size_t size) {
  void* const pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  madvise(pages, size, MADV_HUGEPAGE);
  std::memset(pages, 0, size);
  return static_cast<std::byte*>(pages);
}

class HostDevice final : public Device {
 public:
  HostDevice(const DeviceOptions& options, const Blas& blas)
      : blas_(blas), cores_(divide_cores(options.compute_threads, options.cpu_threads)) {
    const Bytes physical = system_memory().total;
    if (options.memory > physical) {
      throw InputError("--gpu-memory",
                       to_string(options.memory) + " is more than this machine's " + to_string(physical),
                       "leave it out, or give a smaller budget");
    }
    const int left = std::max(0, static_cast<int>(usable_cores().size()) - 2);
    if (options.cpu_threads > left) {
      throw InputError("--cpu-threads",
                       std::to_string(options.cpu_threads) +
                           " cores of their own, but beside one that computes "
                           "and one that copies this machine has " +
                           std::to_string(left),
                       "leave it out: then the CPU's experts share the cores of copies");
    }
    const int threads =
        options.compute_threads > 0 ? options.compute_threads : static_cast<int>(cores_.compute.size());
    blas_.use_threads(threads);
    info_.kind = "host";
    info_.name = processor_name();
    info_.software = blas_.configuration();
    info_.memory = options.memory.count > 0 ? options.memory : physical;
    info_.compute_units = threads;
    info_.types = {ElementType::f32};
    info_.reads_files = true;
    info_.cpu_cores = cores_.cpu;
  }

  [[nodiscard]] const DeviceInfo& info() const override { return info_; }

  std::unique_ptr<Stream> make_stream(const std::string& name) override {
    const bool computes = name == "compute";
    const bool alone = computes && cores_.compute_has_its_own();
    const std::vector<int>& beside = name == "cpu" ? cores_.cpu : cores_.others;
    return std::make_unique<HostStream>(name, computes ? cores_.compute : beside, alone ? patient_spins : 0,
                                        blas_);
  }
  std::unique_ptr<Event> make_event() override { return std::make_unique<HostEvent>(); }

  DeviceMemory allocate(Bytes size, const std::string& purpose) override {
    const std::int64_t before = used_.fetch_add(size.count);
    const Bytes free{info_.memory.count - before};
    std::byte* data = nullptr;
    if (size <= free && size.count > 0) data = map_pages(static_cast<std::size_t>(size.count));
    if (data == nullptr) {
      used_.fetch_sub(size.count);
      if (size.count == 0) return {};
      throw OutOfMemory(purpose, size, free);
    }
    const auto release = [](void* owner, std::byte* pages, std::size_t length) {
      munmap(pages, length);
      static_cast<HostDevice*>(owner)->used_.fetch_sub(static_cast<std::int64_t>(length));
    };
    return {data, size, release, this};
  }

  PageLockedMemory allocate_page_locked(Bytes size, const std::string& purpose) override {
    if (size.count == 0) return {};
    const Bytes available = system_memory().available;
    std::byte* const data = size <= available ? map_pages(static_cast<std::size_t>(size.count)) : nullptr;
    if (data == nullptr) throw OutOfMemory(purpose + " in host memory", size, available);
    const auto release = [](void*, std::byte* pages, std::size_t length) { munmap(pages, length); };
    return {data, size, release, nullptr};
  }

  [[nodiscard]] bool is_done(const Event& event) override {
    const auto& latest = static_cast<const HostEvent&>(event).latest;
    return !latest || latest->is_reached();
  }
  void synchronize(const Event& event) override {
    if (const auto latest = static_cast<const HostEvent&>(event).latest) latest->wait(0);
  }
  [[nodiscard]] Picoseconds elapsed(const Event& from, const Event& to) override {
    const auto begin = static_cast<const HostEvent&>(from).latest->time();
    const auto end = static_cast<const HostEvent&>(to).latest->time();
    return {std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count() * 1000};
  }

 private:
  const Blas& blas_;
  DeviceInfo info_;
  Cores cores_;
  std::atomic<std::int64_t> used_{0};
};

}  // namespace

std::unique_ptr<Device> open_host_device(const DeviceOptions& options, const Blas& blas) {
  return std::make_unique<HostDevice>(options, blas);
}

}  // namespace pregate::runtime
