// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "runtime/device.hpp"
#include "runtime/host/relax.hpp"

namespace pregate::runtime {

using HostClock = std::chrono::steady_clock;

/// One record of an event: reached or not yet. Shared by the event, the stream that will reach it and those
/// that wait for it.
class HostRecord {
 public:
  void reach() {
    time_ = HostClock::now();
    reached_.store(1, std::memory_order_release);
    reached_.notify_all();
  }
  /// Precondition: it was reached, and nobody waits for it or will reach it again.
  void begin_again() { reached_.store(0, std::memory_order_relaxed); }
  [[nodiscard]] bool is_reached() const { return reached_.load(std::memory_order_acquire) != 0; }
  /// Looks `spins` times before it sleeps.
  void wait(int spins) const {
    for (int i = 0; i < spins; ++i) {
      if (is_reached()) return;
      relax();
    }
    reached_.wait(0, std::memory_order_acquire);
  }
  /// Precondition: is_reached().
  [[nodiscard]] HostClock::time_point time() const { return time_; }

 private:
  std::atomic<std::uint32_t> reached_{0};
  HostClock::time_point time_;
};

class HostEvent final : public Event {
 public:
  /// A record not yet reached, which becomes the latest: the one before when nobody needs it any more. Its
  /// time was written before it was seen as reached, and no stream holds it that would write it again.
  const std::shared_ptr<HostRecord>& begin_record() {
    if (latest && latest.use_count() == 1 && latest->is_reached()) {
      latest->begin_again();
    } else {
      latest = std::make_shared<HostRecord>();
    }
    return latest;
  }

  std::shared_ptr<HostRecord> latest;  ///< null: never recorded
};

}  // namespace pregate::runtime
