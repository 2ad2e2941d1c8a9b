// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <driver_types.h>

#include "runtime/device.hpp"

namespace pregate::runtime::cuda {

/// With timing; a host that waits for it sleeps instead of spinning (cudaEventBlockingSync).
class CudaEvent final : public Event {
 public:
  /// For streams of this device; those of others may wait for it.
  explicit CudaEvent(int device);
  ~CudaEvent() override;
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  void record(cudaStream_t stream, const std::string& stream_name);
  /// Whether it was ever recorded: CUDA takes one that was not for reached.
  [[nodiscard]] bool is_recorded() const { return recorded_; }
  [[nodiscard]] bool is_done() const;
  void synchronize() const;
  [[nodiscard]] cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
  bool recorded_ = false;
};

/// Between two that have been reached. CUDA's clock of events ticks every 0.5 us.
Picoseconds elapsed(const CudaEvent& from, const CudaEvent& to);

}  // namespace pregate::runtime::cuda
