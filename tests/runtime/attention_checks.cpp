// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Attention over a KV cache, in batches, chunks and parts of passes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/serve/prompt_chunks.hpp"
#include "tests/runtime/execute_checks.hpp"
#include "traces/reader.hpp"

namespace pregate::runtime::test {

using pregate::test::random_experts;

namespace {

constexpr int few_layers = 2, few_experts = 4, one_choice = 1;

/// Two query heads share one of keys and values; values are narrower than keys; the second layer has a
/// window.
ModelSpec attending_model() {
  ModelSpec model = narrow_model(few_layers, few_experts, one_choice);
  Stack& stack = model.stacks[0];
  stack.mixers[0].kv_heads = 2;
  Mixer windowed = stack.mixers[0];
  windowed.window = 3;
  windowed.v_head_dim = 5;
  stack.mixers.push_back(windowed);
  stack.layers[1].mixer = 1;
  return model;
}

struct Talk {
  int prompt, answer;
};
ListSource source_of(const std::vector<Talk>& talks) {
  std::mt19937_64 random(3);
  ListSource source(pregate::test::decoder_info(few_layers, few_experts, one_choice));
  for (const Talk& talk : talks) {
    source.add(trace::Phase::prefill, talk.prompt,
               random_experts(random, few_layers, few_experts, one_choice, talk.prompt), true);
    for (int step = 0; step < talk.answer; ++step)
      source.add(trace::Phase::decode, 1, random_experts(random, few_layers, few_experts, one_choice, 1));
  }
  return source;
}

/// As of a recording that begins in the middle of every request.
class LateStart final : public trace::StepSource {
 public:
  explicit LateStart(trace::StepSource& source) : source_(source) {}
  [[nodiscard]] const trace::TraceInfo& info() const override { return source_.info(); }
  bool next(trace::Step& step) override {
    if (!source_.next(step)) return false;
    step.position += 4;
    return true;
  }
  void rewind() override { source_.rewind(); }

 private:
  trace::StepSource& source_;
};

LiveRun check(const std::string& device, const PolicySpec& policy, trace::StepSource& source) {
  return check_run(device, attending_model(), policy, source, {}, Attention::kv_cache);
}

}  // namespace

void check_attention_over_a_cache(const std::string& device) {
  // The second sequence ends while the third is as long: which is whose is not to be guessed.
  ListSource source = source_of({{5, 3}, {3, 1}, {3, 3}});
  const PolicySpec policy = policy_of("pre-gated-cache", "25%");
  const LiveRun one_by_one = check(device, policy, source);
  EXPECT_THAT(one_by_one.execution.result.notes,
              testing::Contains(testing::HasSubstr("attention over a KV cache is executed, in fp32")));
  EXPECT_GT(error_of(one_by_one, reference(device, attending_model(), source)), 0.1) << "of two products";
  const auto batched = trace::compose_batches(source, 3);
  check(device, policy, *batched);
  const auto chunked = sim::cut_prompts(*batched, 6);
  check(device, policy_of("on-demand", "0"), *chunked);
  PolicySpec in_parts = policy_of("on-demand-cache", "25%");
  in_parts.compute.micro_batches = 2;
  check(device, in_parts, *chunked);
  LateStart late(source);
  check(device, policy, late);
}

void check_that_mistakes_of_attention_are_seen(const std::string& device,
                                               const std::vector<std::int64_t>& passes) {
  // The second request has the rows of the first one: nothing reads what was never written.
  ListSource source = source_of({{6, 2}, {6, 2}});
  const auto chunked = sim::cut_prompts(source, 4);  // passes of 4, 2, 1 and 1 tokens
  const ModelSpec model = attending_model();
  const PolicySpec policy = policy_of("gpu-only", "0");
  const auto expected = reference(device, model, *chunked, 0, nullptr, Attention::kv_cache);
  using Kind = CacheFault::Kind;
  for (const Kind kind : {Kind::none, Kind::misplaced_key, Kind::mask_off_by_one, Kind::left_out_append}) {
    for (const std::int64_t pass : passes) {
      const LiveRun run = run_live(device, model, policy, *chunked,
                                   {.attention = Attention::kv_cache, .fault = {.cache = {kind, pass}}});
      if (kind == Kind::none) {
        EXPECT_LT(error_of(run, expected), tolerance);
      } else {
        EXPECT_GT(error_of(run, expected), 1e-3) << static_cast<int>(kind) << " in pass " << pass;
      }
    }
  }
}

void check_what_attention_over_a_cache_refuses(const std::string& device) {
  const auto refusal = [&](const ModelSpec& model, trace::StepSource& source) -> std::string {
    try {
      run_live(device, model, policy_of("on-demand", "0"), source, {.attention = Attention::kv_cache});
      return "executed";
    } catch (const InputError& error) {
      return error.what();
    }
  };
  using testing::HasSubstr;
  ListSource source = source_of({{2, 1}});
  ModelSpec model = attending_model();
  model.stacks[0].mixers[1].indexer.heads = 1;
  EXPECT_THAT(refusal(model, source), HasSubstr("layer 1 chooses what it attends to by an indexer"));
  model = attending_model();
  model.stacks[0].mixers[0].head_dim = 512;
  EXPECT_THAT(refusal(model, source), HasSubstr("layer 0 has heads of more than 256 elements"));
  model = attending_model();
  model.stacks[0].cross_attention = true;
  EXPECT_THAT(refusal(model, source), HasSubstr("of decoders alone"));
  ListSource merged(pregate::test::decoder_info(few_layers, few_experts, one_choice));
  merged.add(trace::Phase::prefill, 3, {0, 1, 2, 0, 1, 2}, true, {}, 0, 2);
  EXPECT_THAT(refusal(attending_model(), merged), HasSubstr("does not say which are whose"));
  const LiveRun small = run_live(device, attending_model(), policy_of("on-demand", "0"), source,
                                 {.attention = Attention::kv_cache}, Bytes{1000});
  EXPECT_TRUE(small.execution.result.out_of_memory);
}

}  // namespace pregate::runtime::test
