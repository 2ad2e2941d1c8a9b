// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/serve/batcher_part.hpp"

namespace pregate {

/// Where prompts of requests that join run.
enum class Prompts { before, beside };

struct ContinuousParameters {
  int max_batch = 8;
  Prompts prompts = Prompts::before;
  bool whole_prompts = false;  ///< one that has no room in a pass waits, and is not cut
  double arrivals_per_s = 0;
  std::uint64_t arrival_seed = 1;
  int kv_block = 0;
  Bytes kv_memory;
};

namespace sim {

/// As BatcherEntry::make.
std::unique_ptr<Batcher> make_continuous(const ContinuousParameters& parameters, trace::StepSource& source,
                                         const BatcherSetting& setting);

}  // namespace sim
}  // namespace pregate
