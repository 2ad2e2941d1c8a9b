// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/rounds.hpp"

#include <algorithm>
#include <cstdint>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"

namespace pregate::validation {

runtime::Execution execute_rounds(runtime::Device& device, const ModelSpec& model, const std::string& policy,
                                  const std::vector<Pass>& passes, runtime::ExecuteOptions options,
                                  const Rounds& rounds) {
  const PolicySpec loaded = load_policy(policy);
  const auto run = [&](int times) {
    std::vector<Pass> all;
    for (int round = 0; round < times; ++round) all.insert(all.end(), passes.begin(), passes.end());
    PassList source(model, all);
    const sim::PreparedTrace prepared(source, model, "calibration");
    options.recorded_steps = static_cast<std::int64_t>(all.size());
    runtime::Execution execution = runtime::execute(device, model, loaded, prepared, source, options);
    if (execution.result.out_of_memory) {
      throw InputError("calibration", execution.result.out_of_memory_reason,
                       "give fewer tokens (--max-tokens) or a smaller model");
    }
    return execution;
  };
  const double once = run(1).result.total.seconds();
  return run(static_cast<int>(std::clamp(rounds.seconds / once, rounds.least, rounds.most)));
}

}  // namespace pregate::validation
