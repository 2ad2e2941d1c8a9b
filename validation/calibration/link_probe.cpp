// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/link_probe.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "runtime/weights/direct_file.hpp"
#include "validation/calibration/effective_times.hpp"

namespace pregate::validation {

namespace {

using runtime::Device;
using runtime::DeviceMemory;
using runtime::Event;
using runtime::PageLockedMemory;
using runtime::Stream;

constexpr std::int64_t largest = std::int64_t{256} << 20;
constexpr int least_repeats = 5, most_repeats = 60;
constexpr std::int64_t busy_while_issuing = std::int64_t{8} << 20;

class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Seconds a copy of a queue of `count`, from the device's own clock.
class Probe {
 public:
  explicit Probe(Device& device)
      : device_(device),
        area_(Bytes{std::min(largest, device.info().memory.count / 4)}),
        there_(device.allocate(area_, "copy measurement")),
        here_(device.allocate_page_locked(area_, "copy measurement")),
        first_(device.make_event()),
        last_(device.make_event()) {}

  [[nodiscard]] Bytes area() const { return area_; }
  [[nodiscard]] runtime::DeviceSpan there(Bytes size, std::int64_t turn) const {
    return there_.span().part(place(size, turn), size);
  }
  [[nodiscard]] runtime::PageLockedSpan here(Bytes size, std::int64_t turn) const {
    return here_.span().part(place(size, turn), size);
  }

  template <class Copy>
  double queue(Stream& stream, int count, Copy&& copy) {
    // Small copies end faster than they are issued: the stream has other work until all of them stand in its
    // queue.
    if (count > 1) stream.fill_zero(there_.span().part({}, Bytes{std::min(area_.count, busy_while_issuing)}));
    stream.record(*first_);
    for (int i = 0; i < count; ++i) copy(turn_++);
    stream.record(*last_);
    stream.synchronize();
    return device_.elapsed(*first_, *last_).seconds() / count;
  }

  /// Median and spread over queues of `count` copies.
  template <class Copy>
  RateSample measure(Stream& stream, Bytes size, double seconds, Copy&& copy) {
    const int count =
        static_cast<int>(std::clamp<std::int64_t>((std::int64_t{16} << 20) / size.count, 1, 64));
    queue(stream, count, copy);  // warm-up
    std::vector<double> times;
    const Stopwatch watch;
    do {
      times.push_back(queue(stream, count, copy));
    } while (times.size() < least_repeats ||
             (times.size() < most_repeats && watch.seconds() < seconds && relative_spread(times) > 0.02));
    return {size, BytesPerSecond{static_cast<double>(size.count) / median(times)}, relative_spread(times)};
  }

  /// Successive turns take successive places of the area.
  [[nodiscard]] Bytes place(Bytes size, std::int64_t turn) const {
    return size * (turn % (area_.count / size.count));
  }

 private:
  Device& device_;
  Bytes area_;
  DeviceMemory there_;
  PageLockedMemory here_;
  std::unique_ptr<Event> first_, last_;
  std::int64_t turn_ = 0;
};

/// A file of that size, written; null without a directory.
std::unique_ptr<runtime::DirectFile> file_in(const std::string& directory, Bytes size) {
  if (directory.empty()) return nullptr;
  auto file = std::make_unique<runtime::DirectFile>(directory, size, "--experts-on-ssd");
  const runtime::AlignedBuffer zeros(Bytes{std::int64_t{1} << 20});
  for (std::int64_t at = 0; at < size.count; at += std::ssize(zeros.span())) {
    const std::int64_t bytes = std::min(std::ssize(zeros.span()), file->size().count - at);
    file->write({at}, zeros.span().first(static_cast<std::size_t>(bytes)));
  }
  return file;
}

}  // namespace

LinkProbe probe_links(Device& device, double seconds, const std::string& directory, std::int64_t smallest,
                      std::int64_t factor) {
  LinkProbe result;
  Probe probe(device);
  const std::unique_ptr<runtime::DirectFile> file = file_in(directory, probe.area());
  const auto up = device.make_stream("h2d"), down = device.make_stream("d2h");
  std::vector<Bytes> sizes;
  for (std::int64_t size = smallest; size <= probe.area().count; size *= factor) sizes.push_back({size});
  const double each = seconds / static_cast<double>(2 * sizes.size() + 4);
  for (const Bytes size : sizes) {
    result.h2d.push_back(probe.measure(*up, size, each, [&](std::int64_t turn) {
      if (file) {
        up->read_to_device(probe.there(size, turn), *file, probe.place(size, turn));
      } else {
        up->copy_to_device(probe.there(size, turn), probe.here(size, turn));
      }
    }));
    result.d2h.push_back(probe.measure(*down, size, each, [&](std::int64_t turn) {
      down->copy_to_host(probe.here(size, turn), probe.there(size, turn));
    }));
  }
  const Bytes large{std::max<std::int64_t>(4096, probe.area().count / 16)};
  result.device_copy =
      probe
          .measure(*up, large, each,
                   [&](std::int64_t turn) {
                     up->copy_on_device(probe.there(large, turn), probe.there(large, turn + 1));
                   })
          .rate;
  // Both at once: the other direction's queue is longer than what is measured.
  const auto both = [&](Stream& measured, Stream& other, auto&& copy, auto&& background) {
    std::vector<double> times;
    for (int i = 0; i < least_repeats; ++i) {
      for (int j = 0; j < 12; ++j) background(j);
      times.push_back(probe.queue(measured, 6, copy));
      other.synchronize();
    }
    return BytesPerSecond{static_cast<double>(large.count) / median(times)};
  };
  const auto to_device = [&](std::int64_t t) {
    up->copy_to_device(probe.there(large, t), probe.here(large, t));
  };
  const auto to_host = [&](std::int64_t t) {
    down->copy_to_host(probe.here(large, t + 7), probe.there(large, t + 7));
  };
  result.both_size = large;
  result.h2d_both = both(*up, *down, to_device, to_host);
  result.d2h_both = both(*down, *up, to_host, to_device);

  std::vector<std::byte> pageable(static_cast<std::size_t>(large.count)), other(pageable.size());
  std::vector<double> host;
  for (int i = 0; i < least_repeats; ++i) {
    const Stopwatch watch;
    std::memcpy(other.data(), pageable.data(), pageable.size());
    host.push_back(watch.seconds());
    pageable.swap(other);
  }
  result.host_copy = {static_cast<double>(large.count) / median(host)};
  result.pageable = {1 / (1 / result.host_copy.value + 1 / result.h2d.back().rate.value)};
  return result;
}

Interference probe_interference(Device& device, Stream& compute, const std::function<void()>& kernels,
                                Bytes copy, int repeats) {
  Probe probe(device);
  const auto up = device.make_stream("h2d");
  const auto begin = device.make_event(), end = device.make_event();
  const Bytes size{std::min(copy.count, probe.area().count / 2)};
  const auto run_kernels = [&] {
    compute.record(*begin);
    kernels();
    compute.record(*end);
  };
  const auto one_copy = [&](std::int64_t turn) {
    up->copy_to_device(probe.there(size, turn), probe.here(size, turn));
  };
  run_kernels();
  compute.synchronize();
  const double once = device.elapsed(*begin, *end).seconds();
  std::vector<double> slow, alone, beside;
  for (int i = 0; i < repeats; ++i) {
    run_kernels();
    compute.synchronize();
    const double kernels_alone = device.elapsed(*begin, *end).seconds();
    const double copy_alone = probe.queue(*up, 4, one_copy);
    alone.push_back(copy_alone);
    // Copies that cover the kernels, and kernels that cover the copies: each is measured while the other one
    // never pauses.
    const int covering = 2 + static_cast<int>(2 * once / copy_alone);
    for (int j = 0; j < covering; ++j) one_copy(j);
    run_kernels();
    compute.synchronize();
    slow.push_back(device.elapsed(*begin, *end).seconds() / kernels_alone);
    up->synchronize();
    const int covered = std::max(1, static_cast<int>(once / copy_alone / 3));
    run_kernels();
    beside.push_back(probe.queue(*up, covered, one_copy));
    compute.synchronize();
  }
  const auto rate = [&](const std::vector<double>& times) {
    return BytesPerSecond{static_cast<double>(size.count) / median(times)};
  };
  return {std::max(1.0, median(slow)), rate(alone), rate(beside),
          std::max(relative_spread(slow), relative_spread(beside))};
}

}  // namespace pregate::validation
