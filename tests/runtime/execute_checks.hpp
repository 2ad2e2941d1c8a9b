// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "runtime/execute.hpp"
#include "tests/sim/tiny.hpp"

/// What execute() must do on every device; `device` is the name to open. Failures are GoogleTest's.
namespace pregate::runtime::test {

using pregate::test::ListSource;
using Outputs = std::vector<std::vector<std::byte>>;

/// As tiny_model(), with experts of a quarter of the bytes: kernels may be interpreted.
inline ModelSpec narrow_model(int layers, int experts, int top_k) {
  return pregate::test::tiny_model(layers, experts, top_k, 32);
}
inline constexpr Bytes narrow_expert{3 * 32 * 64 * 4};

struct LiveRun {
  Execution execution;
  Outputs outputs;  ///< by step
  ElementType type = ElementType::f32;
};

LiveRun run_live(const std::string& device, const ModelSpec& model, const PolicySpec& policy,
                 trace::StepSource& source, ExecuteOptions options = {}, Bytes budget = {});

/// The same rows in double. `device` decides in which type the weights are stored, `policy` which experts are
/// computed and in which format, as it plans; null: all as the model has them.
std::vector<std::vector<double>> reference(const std::string& device, const ModelSpec& model,
                                           trace::StepSource& source, std::int64_t buffers = 0,
                                           const PolicySpec* policy = nullptr,
                                           Attention attention = Attention::products);

/// Of the worst step.
double error_of(const LiveRun& run, const std::vector<std::vector<double>>& expected);

/// fp32 through four layers, against double: rounding leaves 1e-6; one wrong expert 1e-2 and more.
inline constexpr double tolerance = 1e-5;

/// The named policy with a cache of that capacity, where it has one.
/// The policies of the catalogue that a device can execute: those whose misses are all copied to it.
std::vector<std::string> policies_of_devices();
PolicySpec policy_of(const std::string& name, const std::string& capacity, int staging = 0);

/// A model whose every layer is MoE, and random requests to it.
struct Workload {
  int layers, experts, top_k;
  int requests, prompt, steps;  ///< tokens of each prompt, decoding steps after it
};

/// The outputs are the reference's and the schedule is the simulator's, operation by operation.
LiveRun check_run(const std::string& device, const ModelSpec& model, const PolicySpec& policy,
                  trace::StepSource& source, const StoreOptions& experts = {},
                  Attention attention = Attention::products);
void check_policy(const std::string& device, const Workload& workload, const PolicySpec& policy,
                  const StoreOptions& experts = {});
/// Host memory that holds some of the experts of a file in `directory`; a read that comes after its reader is
/// seen.
void check_drive_behind_host_memory(const std::string& device, const std::string& directory);
void check_batches_and_tokens_with_fewer_experts(const std::string& device);
void check_chunks_and_waves(const std::string& device);
void check_shared_buffers(const std::string& device);
/// The check of outputs can fail: one wrong copy is seen.
void check_that_a_corrupt_copy_is_seen(const std::string& device);
/// Nor is a missing wait ever hidden: each copy in turn comes after its reader, and each time it is seen.
void check_that_every_late_copy_is_seen(const std::string& device);
/// Copies are cancelled that have not started, outputs stay right, and the simulator with the device's
/// answers issues the same; one that lands all the same, behind the next copy into its slot, is seen.
void check_that_wrong_guesses_are_taken_back(const std::string& device);
/// q8_0 and mxfp4, on the device and on the CPU; one matrix that is not unpacked is seen.
void check_experts_in_blocks(const std::string& device);
/// Likewise q4_k, whose rows are 256 values and more; and as the second format of a run.
void check_experts_in_super_blocks(const std::string& device);
void check_super_blocks_beside(const std::string& device);
/// Experts in two formats, as the miss services choose, on the device and in the reference; dropped ones are
/// left out of both. An expert computed from the slot of the other format is seen.
void check_second_format(const std::string& device);
void check_second_format_on_a_drive(const std::string& device, const std::string& directory);
void check_that_a_stale_format_is_seen(const std::string& device);
void check_that_host_memory_holds_both_formats(const std::string& device);
void check_dropped_experts(const std::string& device);
void check_prompts_in_chunks(const std::string& device);
/// A layer in parts that share its experts comes to what the whole pass does.
void check_micro_batches(const std::string& device);
void check_that_late_copies_for_micro_batches_are_seen(const std::string& device);
void check_micro_batches_in_waves(const std::string& device);
/// Batches whose sequences end apart, prompts in chunks, parts of passes, requests that begin in the middle:
/// outputs are those of tokens that attend to all before them, and the schedule stays the simulator's.
void check_attention_over_a_cache(const std::string& device);
/// A key in the wrong row, a mask that is off by one, keys of an earlier request that were not replaced; each
/// in one of these passes: 4 takes a prompt, 5 a chunk behind another, 6 a token of an answer.
void check_that_mistakes_of_attention_are_seen(const std::string& device,
                                               const std::vector<std::int64_t>& passes);
void check_what_attention_over_a_cache_refuses(const std::string& device);
void check_that_what_weighs_times_needs_them(const std::string& device);
void check_that_out_of_memory_is_a_result(const std::string& device);
void check_that_an_interrupt_ends_it_after_a_pass(const std::string& device);

}  // namespace pregate::runtime::test
