// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "traces/trace.hpp"

namespace pregate::trace {

/// The steps of a source that is costly to read, as generated routing is, for many readers: kept from the
/// first one on, or made for each where there are more than 2^26 routed entries.
class KeptSteps {
 public:
  using Open = std::function<std::shared_ptr<StepSource>()>;
  /// Precondition: what `open` gives has no gate weights, predictions or parts.
  explicit KeptSteps(Open open) : open_(std::move(open)) {}

  /// At the first step. Callable from several threads at once; a reader outlives this.
  std::shared_ptr<StepSource> reader();

 private:
  void keep();

  Open open_;
  std::once_flag once_;
  std::shared_ptr<const std::vector<Step>> steps_;
  std::shared_ptr<const std::vector<std::uint16_t>> ids_;
  std::shared_ptr<const TraceInfo> info_;
};

}  // namespace pregate::trace
