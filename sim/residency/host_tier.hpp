// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "sim/cache/expert_cache.hpp"

namespace pregate::sim {

/// A pool of experts in the host's memory, behind which a drive holds them all.
class HostTier {
 public:
  HostTier() = default;
  virtual ~HostTier() = default;
  HostTier(const HostTier&) = delete;
  HostTier& operator=(const HostTier&) = delete;

  /// An expert is about to be copied to the GPU. Whether the host's memory has it; if not, it is read from
  /// the drive first and is there from now on, and another may have left.
  virtual bool access(cache::ExpertKey key) = 0;
};

/// Empty: the host's memory holds every expert.
using MakeHostTier = std::function<std::unique_ptr<HostTier>()>;

}  // namespace pregate::sim
