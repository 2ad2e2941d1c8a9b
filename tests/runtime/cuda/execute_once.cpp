// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
/// One execute() of a small model on the CUDA device, for tests that let calls fail, take memory away or
/// plant a fault around it. Arguments: policy, cache capacity, experts a layer, and optionally the number of
/// the cross-stream wait to leave out (-1: none) and "kv-cache" for attention over one. The exit status says
/// how it ended (small_run.hpp), standard error why.
#include <cstdio>
#include <cstdlib>

#include "tests/runtime/cuda/small_run.hpp"
#include "tests/runtime/execute_checks.hpp"

namespace {

using namespace pregate;
using namespace pregate::runtime;
using namespace pregate::runtime::test;

int run_once(const std::string& policy, const std::string& capacity, int experts, const PlantedFault& fault,
             Attention attention) {
  const ModelSpec model = small_model(experts);
  ListSource source = small_source(experts);
  const LiveRun run =
      run_live("cuda", model, policy_of(policy, capacity), source, {.attention = attention, .fault = fault});
  if (run.execution.result.out_of_memory) {
    std::fprintf(stderr, "out of memory: %s\n", run.execution.result.out_of_memory_reason.c_str());
    return out_of_memory_said;
  }
  const double error = error_of(run, reference("host", model, source, 0, nullptr, attention));
  if (error < tolerance) return outputs_right;
  std::fprintf(stderr, "the outputs are off by %g\n", error);
  return outputs_wrong;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) return usage;
  PlantedFault fault;
  if (count > 4 && std::atoll(arguments[4]) >= 0)
    fault = {.kind = PlantedFault::Kind::drop_wait, .at = std::atoll(arguments[4])};
  const bool over_cache = count > 5 && std::string(arguments[5]) == "kv-cache";
  try {
    return run_once(arguments[1], arguments[2], std::atoi(arguments[3]), fault,
                    over_cache ? Attention::kv_cache : Attention::products);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error_said;
  }
}
