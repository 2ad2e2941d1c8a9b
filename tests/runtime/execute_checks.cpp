// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/execute_checks.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "models/catalog.hpp"
#include "runtime/device_error.hpp"
#include "runtime/reference_model.hpp"
#include "runtime/replay.hpp"
#include "sim/cost/low_format.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/runtime/planned_experts.hpp"

namespace pregate::runtime::test {

using pregate::test::decoder_info;
using pregate::test::random_source;
using pregate::test::tiny_machine;

LiveRun run_live(const std::string& device_name, const ModelSpec& model, const PolicySpec& policy,
                 trace::StepSource& source, ExecuteOptions options, Bytes budget) {
  LiveRun live;
  const auto device = open_device(device_name, {.memory = budget});
  live.type = model_shape(model, *device).type;
  const sim::PreparedTrace prepared(source, model, "test");
  options.outputs = [&](std::int64_t step, std::span<const std::byte> hidden) {
    EXPECT_EQ(step, static_cast<std::int64_t>(live.outputs.size()));
    live.outputs.emplace_back(hidden.begin(), hidden.end());
  };
  const MachineSpec described = tiny_machine();  // which has a drive
  if (options.memory.count == 0) options.memory = sim::memory_limits(described).gpu;
  options.marks_step_overhead = described.overhead.step.count > 0;
  options.prices = &described;
  live.execution = execute(*device, model, policy, prepared, source, options);
  return live;
}

std::vector<std::vector<double>> reference(const std::string& device_name, const ModelSpec& model,
                                           trace::StepSource& source, std::int64_t buffers,
                                           const PolicySpec* policy, Attention attention) {
  const auto device = open_device(device_name, {});
  const sim::PreparedTrace prepared(source, model, "test");
  std::optional<ModelSpec> low;
  PlannedExperts planned;
  if (policy != nullptr) {
    planned = planned_experts(model, *policy, source);
    if (!policy->formats.low.empty()) low = sim::in_low_format(model, *policy);
  }
  ReferenceModel oracle(model_shape(model, *device, low ? &*low : nullptr, attention), prepared.map(),
                        buffers > 0 ? buffers : prepared.map().keys(), 1);
  std::vector<std::vector<double>> outputs;
  trace::Step step;
  for (source.rewind(); source.next(step);) {
    const auto number = static_cast<std::int64_t>(outputs.size());
    const auto computed = [&](sim::ExpertKey key) -> std::optional<sim::FormatId> {
      const auto& of_pass = planned.at(static_cast<std::size_t>(number));
      const auto found = of_pass.find(key);
      return found == of_pass.end() ? std::nullopt : std::optional(found->second);
    };
    outputs.push_back(
        oracle.run(step, number, 0,
                   policy != nullptr ? ReferenceModel::Computed(computed) : ReferenceModel::Computed()));
  }
  source.rewind();
  return outputs;
}

double error_of(const LiveRun& run, const std::vector<std::vector<double>>& expected) {
  EXPECT_EQ(run.outputs.size(), expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < std::min(run.outputs.size(), expected.size()); ++i)
    worst = std::max(worst, relative_error(to_doubles(run.outputs[i], run.type), expected[i]));
  return worst;
}

std::vector<std::string> policies_of_devices() {
  std::vector<std::string> names;
  for (const std::string& name : policy_names()) {
    const PolicySpec policy = load_policy(name);
    try {
      check_executable(policy);
      if (policy.host_cache.capacity.kind != CapacityKind::none) continue;  // needs a drive
      names.push_back(name);
    } catch (const InputError&) {
      continue;  // simulated alone
    }
  }
  if (names.size() < 7) throw std::logic_error("the policies of before are no longer executed");
  return names;
}

PolicySpec policy_of(const std::string& name, const std::string& capacity, int staging) {
  PolicySpec policy = load_policy(name);
  if (!policy.placement.kind->keeps_all) policy.cache.capacity = parse_capacity(capacity, "test");
  // Neither goes with them.
  if (policy.compute.micro_batches == 1 && policy.formats.low.empty())
    policy.transfer.staging_copies = staging;
  if (policy.formats.low == "q4_k")
    policy.formats.low = "mxfp4";  // rows of narrow models are less than a block
  return policy;
}

void check_policy(const std::string& device, const Workload& w, const PolicySpec& policy,
                  const StoreOptions& experts) {
  const ModelSpec model = narrow_model(w.layers, w.experts, w.top_k);
  ListSource source = random_source(5, w.layers, w.experts, w.top_k, w.requests, w.prompt, w.steps);
  source.weigh_by_halves(static_cast<std::size_t>(w.top_k));  // some evictions ask
  check_run(device, model, policy, source, experts);
}

LiveRun check_run(const std::string& device, const ModelSpec& model, const PolicySpec& policy,
                  trace::StepSource& source, const StoreOptions& experts, Attention attention) {
  LiveRun live = run_live(device, model, policy, source,
                          {.recorded_steps = 1000, .experts = experts, .attention = attention});
  const bool is_exact = policy.miss.service->is_exact();
  EXPECT_LT(error_of(live, reference(device, model, source, 0, is_exact ? nullptr : &policy, attention)),
            tolerance);

  const sim::SimulationOptions options{.costs = {.attention_scores = attention == Attention::kv_cache},
                                       .recorded_steps = 1000};
  // Where decisions depend on time, those of the device are taken again.
  const sim::PreparedTrace prepared(source, model, "test");
  const sim::SimulationResult simulated =
      live.execution.answers
          ? replay(model, tiny_machine(), policy, prepared, source, *live.execution.answers, options)
          : sim::simulate(model, tiny_machine(), policy, prepared, source, options);
  const sim::SimulationResult& measured = live.execution.result;
  EXPECT_TRUE(is_same_work(simulated.schedule, measured.schedule));
  EXPECT_EQ(simulated.decode_cache.hits, measured.decode_cache.hits);
  EXPECT_EQ(simulated.decode_cache.misses, measured.decode_cache.misses);
  EXPECT_EQ(simulated.decode_cache.dropped, measured.decode_cache.dropped);
  EXPECT_EQ(simulated.decode_cache.low_hits, measured.decode_cache.low_hits);
  EXPECT_EQ(simulated.decode_cache.low_fetched, measured.decode_cache.low_fetched);
  EXPECT_EQ(simulated.tally.fetched, measured.tally.fetched);
  EXPECT_EQ(simulated.tally.operations, measured.tally.operations);
  EXPECT_EQ(simulated.output_tokens, measured.output_tokens);
  EXPECT_GT(measured.total.count, 0);
  // The measured timeline keeps every dependency.
  for (sim::OpId id = 0; id < static_cast<sim::OpId>(measured.schedule.size()); ++id) {
    for (const sim::OpId before : measured.schedule.dependencies(id))
      EXPECT_LE(measured.timeline.finish[static_cast<std::size_t>(before)],
                measured.timeline.start[static_cast<std::size_t>(id)]);
  }
  return live;
}

void check_batches_and_tokens_with_fewer_experts(const std::string& device) {
  const ModelSpec model = narrow_model(2, 8, 3);
  ListSource source(decoder_info(2, 8, 3));
  constexpr std::uint16_t none = trace::no_expert;
  source.add(trace::Phase::prefill, 2, {0, 1, 2, none, none, none, 7, none, 3, 3, 7, 1}, true, {}, 0, 2);
  source.add(trace::Phase::decode, 2, {none, 5, none, 5, 6, 7, none, none, none, none, none, none}, false, {},
             0, 2);
  const auto expected = reference(device, model, source);
  for (const char* name : {"gpu-only", "on-demand", "pre-gated", "prefetch-all-cache"}) {
    const LiveRun live = run_live(device, model, policy_of(name, "25%"), source);
    EXPECT_LT(error_of(live, expected), tolerance) << name;
  }
}

void check_chunks_and_waves(const std::string& device) {
  const ModelSpec model = narrow_model(3, 16, 4);
  ListSource source = random_source(8, 3, 16, 4, 1, 20, 5);
  PolicySpec policy = policy_of("pre-gated-cache", "25%");
  policy.transfer.chunk = {10'000};  // three copies an expert, the last one shorter
  const auto expected = reference(device, model, source);
  EXPECT_LT(error_of(run_live(device, model, policy, source), expected), tolerance);
  policy.compute.experts = ExpertCompute::per_expert;
  EXPECT_LT(error_of(run_live(device, model, policy, source), expected), tolerance);
}

void check_shared_buffers(const std::string& device) {
  const ModelSpec model = narrow_model(2, 8, 2);
  ListSource source = random_source(4, 2, 8, 2, 1, 0, 8);
  const PolicySpec policy = policy_of("on-demand", "0");
  const LiveRun all = run_live(device, model, policy, source),
                few = run_live(device, model, policy, source, {.experts = {.distinct_experts = 3}});
  EXPECT_EQ(all.execution.distinct_experts, 16);
  EXPECT_EQ(few.execution.distinct_experts, 3);
  EXPECT_EQ(all.execution.result.tally.fetched, few.execution.result.tally.fetched);
  EXPECT_LT(error_of(few, reference(device, model, source, 3)), tolerance);
  EXPECT_GT(error_of(few, reference(device, model, source)), 1e-3);
}

void check_that_a_corrupt_copy_is_seen(const std::string& device) {
  const ModelSpec model = narrow_model(4, 16, 3);
  ListSource source = random_source(5, 4, 16, 3, 1, 0, 4);
  const auto expected = reference(device, model, source);
  for (const char* name : {"on-demand", "pre-gated", "pre-gated-cache"}) {
    const LiveRun live = run_live(device, model, policy_of(name, "25%"), source,
                                  {.fault = {.kind = PlantedFault::Kind::corrupt_copy, .at = 7}});
    EXPECT_GT(error_of(live, expected), 1e-3) << name;
  }
}

void check_that_every_late_copy_is_seen(const std::string& device) {
  constexpr std::int64_t layers = 2, steps = 3;
  const ModelSpec model = narrow_model(layers, 4, 1);
  ListSource source(decoder_info(layers, 4, 1));
  // No expert is used twice: what a slot held before is never what the reader needs.
  for (std::uint16_t step = 0; step < steps; ++step)
    source.add(trace::Phase::decode, 1, {step, static_cast<std::uint16_t>(3 - step)}, step == 0);
  const auto expected = reference(device, model, source);
  const auto is_seen = [&](const PolicySpec& policy, std::int64_t at) {
    try {
      const LiveRun late = run_live(device, model, policy, source,
                                    {.fault = {.kind = PlantedFault::Kind::late_copy, .at = at}});
      return !(error_of(late, expected) <= 1e-3);  // or not a number
    } catch (const DeviceError& error) {
      // What was read instead of the weights reached the next gate, whose choice is checked.
      return std::string(error.what()).find("chose other experts") != std::string::npos;
    }
  };
  for (const char* name : {"on-demand", "pre-gated"}) {
    for (const int staging : {0, 1}) {
      const PolicySpec policy = policy_of(name, "0", staging);
      const LiveRun whole = run_live(device, model, policy, source);
      EXPECT_LT(error_of(whole, expected), tolerance) << name;
      const std::int64_t fetches = whole.execution.result.tally.fetched.count / narrow_expert.count;
      EXPECT_EQ(fetches, layers * steps) << name;
      for (std::int64_t at = 0; at < fetches; ++at) {
        EXPECT_TRUE(is_seen(policy, at)) << name << ", staging " << staging << ", fetch " << at;
      }
    }
  }
}

void check_that_wrong_guesses_are_taken_back(const std::string& device) {
  constexpr int layers = 4, experts = 24, top_k = 2;
  const ModelSpec model = narrow_model(layers, experts, top_k);
  ListSource source = random_source(9, layers, experts, top_k, 1, 0, 8);
  PolicySpec policy = policy_of("pre-gated-cache", "10%");
  choose(policy.lookahead.predictor, sim::built_in_parts().predictors, "gate-reuse");
  policy.lookahead.predictor.set("recall", "0.5");
  policy.lookahead.predictor.set("guesses", "12");
  policy.prefetch.wrong = WrongGuesses::cancel;
  policy.transfer.chunk = {5'000};  // five copies an expert
  const auto expected = reference(device, model, source);
  const sim::PreparedTrace prepared(source, model, "test");
  const sim::SimulationOptions options{.costs = {.attention_scores = false}, .recorded_steps = 1000};
  for (const std::size_t ahead : {std::size_t{2}, std::size_t{0}}) {
    const LiveRun whole =
        run_live(device, model, policy, source, {.recorded_steps = 1000, .copies_ahead = ahead});
    EXPECT_LT(error_of(whole, expected), tolerance);
    const sim::SimulationResult& measured = whole.execution.result;
    if (ahead == 0) {
      EXPECT_GT(measured.decode_cache.cancelled, 0);
    }
    ASSERT_TRUE(whole.execution.answers);
    const Answers& answers = *whole.execution.answers;
    const sim::SimulationResult again =
        replay(model, tiny_machine(), policy, prepared, source, answers, options);
    EXPECT_TRUE(is_same_work(again.schedule, measured.schedule));
    EXPECT_EQ(again.decode_cache.cancelled, measured.decode_cache.cancelled);
    EXPECT_EQ(again.tally.fetched, measured.tally.fetched);
    // Answers of another run are noticed.
    Answers other = answers;
    other.all.erase(other.all.begin());
    EXPECT_THROW(replay(model, tiny_machine(), policy, prepared, source, other, options), std::logic_error);
  }
  int seen = 0;
  for (std::int64_t at = 4; at < 24; at += 5) {  // the last chunks of experts
    try {
      const LiveRun landed = run_live(
          device, model, policy, source,
          {.copies_ahead = 0, .fault = {.kind = PlantedFault::Kind::cancelled_copy_lands, .at = at}});
      seen += error_of(landed, expected) > 1e-3 ? 1 : 0;
    } catch (const DeviceError&) {
      ++seen;  // it reached a gate
    }
  }
  EXPECT_GT(seen, 0);
}

void check_drive_behind_host_memory(const std::string& device, const std::string& directory) {
  try {
    DirectFile(directory, {1}, "test");
  } catch (const InputError& error) {
    GTEST_SKIP() << "SKIPPED: no direct reads: " << error.what();
  }
  const Workload small{3, 8, 2, 2, 5, 4};
  for (const char* name : {"warp", "streamlx", "llama-cpp-mmap"})
    check_policy(device, small, policy_of(name, "25%"), {.directory = directory});
  PolicySpec ahead = policy_of("pre-gated-cache", "25%");
  ahead.host_cache.capacity = parse_capacity("30%", "test");
  check_policy(device, small, ahead, {.directory = directory});

  const ModelSpec model = narrow_model(2, 4, 1);
  ListSource source(decoder_info(2, 4, 1));
  for (std::uint16_t step = 0; step < 4; ++step)
    source.add(trace::Phase::decode, 1, {step, static_cast<std::uint16_t>(3 - step)}, step == 0);
  const PolicySpec policy = policy_of("streamlx", "0");
  const auto expected = reference(device, model, source);
  const LiveRun whole = run_live(device, model, policy, source, {.experts = {.directory = directory}});
  EXPECT_LT(error_of(whole, expected), tolerance);
  EXPECT_EQ(whole.execution.result.decode_cache.drive_reads, 8);
  for (std::int64_t at = 0; at < 8; ++at) {
    try {
      const LiveRun late = run_live(device, model, policy, source,
                                    {.experts = {.directory = directory},
                                     .fault = {.kind = PlantedFault::Kind::late_drive_read, .at = at}});
      EXPECT_FALSE(error_of(late, expected) <= 1e-3) << "read " << at;
    } catch (const DeviceError&) {  // it reached a gate
    }
  }
  EXPECT_THROW(run_live(device, model, policy, source), InputError) << "no directory";
}

void check_that_what_weighs_times_needs_them(const std::string& device) {
  const ModelSpec model = narrow_model(2, 8, 2);
  ListSource source = random_source(4, 2, 8, 2, 1, 0, 3);
  const auto opened = open_device(device, {});
  const sim::PreparedTrace prepared(source, model, "test");
  EXPECT_NO_THROW(execute(*opened, model, load_policy("experts-on-cpu"), prepared, source));
  try {
    execute(*opened, model, load_policy("fiddler"), prepared, source);
    ADD_FAILURE() << "it was executed";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("--machine"), std::string::npos) << error.what();
  }
}

void check_that_out_of_memory_is_a_result(const std::string& device) {
  const ModelSpec model = narrow_model(2, 8, 2);
  ListSource source = random_source(4, 2, 8, 2, 1, 0, 8);
  const LiveRun live = run_live(device, model, policy_of("gpu-only", "0"), source, {}, Bytes{300'000});
  EXPECT_TRUE(live.execution.result.out_of_memory);
  EXPECT_NE(live.execution.result.out_of_memory_reason.find("expert slots needs"), std::string::npos)
      << live.execution.result.out_of_memory_reason;
  EXPECT_TRUE(live.outputs.empty());
  EXPECT_FALSE(run_live(device, model, policy_of("on-demand", "0"), source, {}, Bytes{300'000})
                   .execution.result.out_of_memory);
}

void check_that_an_interrupt_ends_it_after_a_pass(const std::string& device) {
  const ModelSpec model = narrow_model(2, 8, 2);
  ListSource source = random_source(4, 2, 8, 2, 1, 0, 9);
  int asked = 0;
  const LiveRun live = run_live(device, model, policy_of("pre-gated", "0"), source,
                                {.recorded_steps = 100, .interrupted = [&] { return ++asked > 3; }});
  EXPECT_TRUE(live.execution.was_interrupted);
  EXPECT_EQ(live.execution.result.steps, 3);
  EXPECT_EQ(live.outputs.size(), 3U);
  EXPECT_EQ(live.execution.result.schedule.size(), live.execution.result.timeline.finish.size());
}

}  // namespace pregate::runtime::test
