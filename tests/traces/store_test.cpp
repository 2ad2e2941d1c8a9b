// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/traces/support.hpp"
#include "traces/statistics.hpp"

namespace pregate::test {
namespace {

using namespace trace;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
constexpr std::uint16_t none = no_expert;

class Store : public TraceTest {};

// Two stacks, layers that differ in experts and k, ids past 8 bits in one stack only, weights, predictions,
// absent experts, a merged batch: what is read is what was written, and so it is after JSONL.
TEST_F(Store, EverythingSurvivesTheDatabaseAndJsonl) {
  TraceInfo info;
  info.model = "made up";
  info.model_top_k = 4;
  info.stacks = {"encoder", "decoder"};
  info.layers = {{0, 1, 8, 1, Bytes{10}}, {1, 0, 300, 2, Bytes{20}}, {1, 5, 4, 1, Bytes{}}};
  info.has_weights = info.has_predictions = true;
  info.prediction_distance = 2;
  info.provenance = {{"source", "line \"one\"\nline two"}};
  Step encoder;
  encoder.phase = Phase::encoder;
  encoder.sequences = 2;
  encoder.tokens = 3;
  const std::vector<std::uint16_t> e1 = {7, none, 0}, p1 = {none, 1, 2};
  const std::vector<float> w1 = {0.1F, 5.0F, 0.25F};
  encoder.experts = e1;
  encoder.predicted = p1;
  encoder.weights = w1;
  const std::vector<std::uint16_t> e2 = {299, 255, none, 254, 3, none}, p2 = {0, 1, 2, 3, 0, 1};
  const std::vector<float> w2 = {1.0F / 3.0F, 1e-30F, 2.0F, 900.0F, 0.5F, 0.5F};
  Step step = decode(e2, 2, 17);
  step.stack = 1;
  step.predicted = p2;
  step.weights = w2;

  TraceWriter writer(path("t.db"), info);
  writer.begin_request({0, "gr\u00fc\u00dfe, \"x\"", 2});
  writer.add(encoder);
  writer.add(step);
  writer.begin_request({0, "", 1});
  const std::vector<std::uint16_t> e3 = {none, none, none};
  const std::vector<float> w3 = {9.0F, 9.0F, 9.0F};
  Step empty = decode(e3);
  empty.stack = 1;
  empty.predicted = e3;
  empty.weights = w3;
  writer.add(empty);
  const TraceInfo written = writer.commit();
  EXPECT_EQ(written.requests, 2);
  EXPECT_EQ(written.steps, 3);
  EXPECT_EQ(written.tokens, 6);
  EXPECT_EQ(written.routed_entries, 6);

  const auto source = open_trace(path("t.db"));
  EXPECT_EQ(source->info().layers, info.layers);
  EXPECT_EQ(source->info().provenance, info.provenance);
  EXPECT_EQ(source->info().model_top_k, 4);
  EXPECT_EQ(source->info().prediction_distance, 2);
  const auto steps = all_steps(*source);
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0].experts, e1);
  EXPECT_EQ(steps[0].predicted, p1);
  EXPECT_THAT(steps[0].weights, ElementsAre(0.1F, 0.0F, 0.25F));  // the weight of no expert is 0
  EXPECT_EQ(steps[0].step.phase, Phase::encoder);
  EXPECT_EQ(steps[1].experts, e2);
  EXPECT_THAT(steps[1].weights, ElementsAre(1.0F / 3.0F, 1e-30F, 0.0F, 900.0F, 0.5F, 0.0F));
  EXPECT_EQ(steps[1].step.position, 17);
  EXPECT_EQ(steps[1].step.index, 1);
  EXPECT_TRUE(steps[2].step.first_of_request);
  EXPECT_THAT(check(path("t.db")), IsEmpty());

  export_jsonl(*source, read_requests(path("t.db")), path("t.jsonl"));
  const ImportResult back = import_trace({path("t.jsonl")}, path("back.db"));
  EXPECT_EQ(back.format, "jsonl");
  EXPECT_EQ(back.info.content_hash, written.content_hash);
  EXPECT_EQ(back.info.provenance, info.provenance);
  EXPECT_EQ(all_steps(*open_trace(path("back.db")))[1].weights, steps[1].weights);

  export_csv(*source, read_requests(path("t.db")), path("t.csv"));
  EXPECT_THAT(text_of(path("t.csv")), HasSubstr("\n0,1,decode,1,17,0,0,1,255,1.0000000031710769e-30,1\n"));

  const auto memory = load_into_memory(*source);
  EXPECT_EQ(all_steps(*memory)[1].predicted, p2);
  EXPECT_EQ(all_steps(*memory)[0].weights, steps[0].weights);
}

// Predictions of several distances, one after the other, and what made them: in the database, as JSONL and
// CSV, in memory, and joined in a batch, where each distance stays together.
TEST_F(Store, PredictionsOfSeveralDistances) {
  TraceInfo info = decoder({{8, 2}, {8, 1}});
  info.has_predictions = true;
  info.prediction_distance = 1;
  info.further_distances = {2, 5};
  info.predicted_by = "gate-reuse";
  const std::vector<std::uint16_t> first = {none, none, 4, none, none, 5, none, none, none};
  const std::vector<std::uint16_t> second = {1, 2, 3, 4, 5, 6, 7, 0, 1}, ids = {0, 1, 2};
  TraceWriter writer(path("t.db"), info);
  for (const std::vector<std::uint16_t>& predicted : {first, second}) {
    writer.begin_request({0, "", 1});
    Step step = decode(ids);
    step.predicted = predicted;
    writer.add(step);
  }
  const std::string hash = writer.commit().content_hash;
  EXPECT_THAT(check(path("t.db")), IsEmpty());
  const auto source = open_trace(path("t.db"));
  EXPECT_THAT(source->info().prediction_distances(), ElementsAre(1, 2, 5));
  EXPECT_EQ(source->info().predicted_by, "gate-reuse");
  EXPECT_EQ(all_steps(*source)[0].predicted, first);
  EXPECT_EQ(all_steps(*source)[1].predicted, second);
  EXPECT_EQ(all_steps(*load_into_memory(*source))[1].predicted, second);
  const auto batched = compose_batches(*source, 2);
  EXPECT_THAT(all_steps(*batched)[0].predicted, ElementsAre(none, none, 1, 2, 4, 3,  //
                                                            none, none, 4, 5, 5, 6,  //
                                                            none, none, 7, 0, none, 1));
  export_jsonl(*source, read_requests(path("t.db")), path("t.jsonl"));
  EXPECT_EQ(import_trace({path("t.jsonl")}, path("back.db")).info.content_hash, hash);
  export_csv(*source, read_requests(path("t.db")), path("t.csv"));
  EXPECT_THAT(text_of(path("t.csv")), HasSubstr("predicted_1,predicted_2,predicted_5\n"));
  EXPECT_THAT(text_of(path("t.csv")), HasSubstr("\n1,0,decode,0,0,0,0,1,1,2,5,0\n"));

  info.predicted_by = "other";
  TraceWriter other(path("o.db"), info);
  for (const std::vector<std::uint16_t>& predicted : {first, second}) {
    other.begin_request({0, "", 1});
    Step step = decode(ids);
    step.predicted = predicted;
    other.add(step);
  }
  EXPECT_NE(other.commit().content_hash, hash);
  Step short_of_one = decode(ids);
  short_of_one.predicted = std::span(second).first(6);
  TraceWriter refusing(path("r.db"), info);
  refusing.begin_request({0, "", 1});
  EXPECT_THROW(refusing.add(short_of_one), InputError);
  for (const std::vector<int>& wrong : {std::vector<int>{2, 2}, {1}, {0}, {3, 2}, {max_layers + 1}}) {
    info.further_distances = wrong;
    EXPECT_THROW(TraceWriter(path("w.db"), info), InputError);
  }
}

// The hash is of layers, requests and steps: one id or one label changes it, names and provenance do not.
TEST_F(Store, HashIsOfTheContentAlone) {
  int files = 0;
  const auto hash = [&](TraceInfo info, const std::string& label, std::uint16_t id) {
    TraceWriter writer(path(std::to_string(files++)), info);
    writer.begin_request({0, label, 1});
    writer.add(decode({id, 1}));
    return writer.commit().content_hash;
  };
  TraceInfo info = decoder({{8, 1}, {8, 1}});
  const std::string plain = hash(info, "a", 3);
  EXPECT_EQ(plain.size(), 64U);
  TraceInfo renamed = info;
  renamed.model = "another";
  renamed.provenance["x"] = "y";
  EXPECT_EQ(hash(renamed, "a", 3), plain);
  EXPECT_NE(hash(info, "b", 3), plain);
  EXPECT_NE(hash(info, "a", 4), plain);
  info.layers[1].expert_bytes = Bytes{1};
  EXPECT_NE(hash(info, "a", 3), plain);
}

TEST_F(Store, BatchesJoinStepsLockStepAndShrink) {
  TraceInfo info = decoder({{8, 2}, {8, 1}});
  info.has_weights = true;
  TraceWriter writer(path("t.db"), info);
  const auto add = [&](Phase phase, std::vector<std::uint16_t> ids, int tokens, int position) {
    std::vector<float> weights(ids.begin(), ids.end());
    Step step = decode(ids, tokens, position);
    step.phase = phase;
    step.sequences = 1;
    step.weights = weights;
    writer.add(step);
  };
  writer.begin_request({});
  add(Phase::prefill, {0, 1, 2, 3, 4, 5}, 2, 0);
  add(Phase::decode, {0, 1, 2}, 1, 2);
  writer.begin_request({});
  add(Phase::decode, {3, 4, 5}, 1, 9);
  add(Phase::decode, {4, 5, 6}, 1, 10);
  writer.begin_request({});
  add(Phase::decode, {7, 6, 5}, 1, 0);
  const TraceInfo written = writer.commit();
  const auto source = open_trace(path("t.db"));
  const auto batches = compose_batches(*source, 2);
  EXPECT_EQ(batches->info().requests, 2);
  EXPECT_EQ(batches->info().steps, 4);
  EXPECT_EQ(batches->info().tokens, written.tokens);
  const auto steps = all_steps(*batches);
  ASSERT_EQ(steps.size(), 4U);
  EXPECT_EQ(steps[0].step.phase, Phase::prefill);  // the second member waits for the first one's prompt
  EXPECT_EQ(steps[0].step.sequences, 1);
  EXPECT_THAT(steps[1].experts, ElementsAre(0, 1, 3, 4, 2, 5));  // layer by layer, member by member
  EXPECT_THAT(steps[1].weights, ElementsAre(0.F, 1.F, 3.F, 4.F, 2.F, 5.F));
  EXPECT_EQ(steps[1].step.sequences, 2);
  EXPECT_EQ(steps[1].step.position, 6);  // (2 + 9) / 2, rounded up
  EXPECT_THAT(steps[2].experts, ElementsAre(4, 5, 6));
  EXPECT_EQ(steps[2].step.index, 2);
  EXPECT_EQ(steps[3].step.request, 1);
  EXPECT_TRUE(steps[3].step.first_of_request);

  const auto thrice = repeat(*source, 3);
  const auto repeated = all_steps(*thrice);
  EXPECT_EQ(repeated.size(), 15U);
  EXPECT_EQ(repeated.back().step.request, 8);
  EXPECT_EQ(thrice->info().routed_entries, 3 * written.routed_entries);
  EXPECT_THAT(complaint([&] { compose_batches(*source, 0); }), HasSubstr("0 requests in a batch"));
}

TEST_F(Store, WriterRefusesWhatItCannotStand) {
  const TraceInfo info = decoder({{8, 1}});
  EXPECT_THAT(complaint([&] { TraceWriter(path("absent/t.db"), info); }), HasSubstr("does not exist"));
  EXPECT_THAT(complaint([&] { TraceWriter(path("."), info); }), HasSubstr("is a folder"));
  EXPECT_THAT(complaint([&] { TraceWriter(path("t.db"), decoder({{8, 9}})); }), HasSubstr("top_k 9 of 8"));
  EXPECT_THAT(complaint([&] { TraceWriter(path("t.db"), decoder({{5000, 1}})); }), HasSubstr("5000 experts"));
  EXPECT_THAT(complaint([&] { TraceWriter(path("t.db"), info).commit(); }),
              HasSubstr("at least one request"));
  TraceWriter writer(path("t.db"), info);
  EXPECT_THAT(complaint([&] { writer.add(decode({1})); }), HasSubstr("before the first request"));
  writer.begin_request({});
  EXPECT_THAT(complaint([&] { writer.add(decode({8})); }),
              HasSubstr("expert 8 in layer 0, but the layer has 8"));
  EXPECT_THAT(complaint([&] { writer.add(decode({1, 2})); }), HasSubstr("2 entries"));
  EXPECT_THAT(complaint([&] { writer.begin_request({}); }), HasSubstr("has no steps"));
}

// The destination is absent or whole: no commit, a full disk, a killed process, a file that appears
// meanwhile.
TEST_F(Store, DestinationIsAbsentOrWhole) {
  const TraceInfo info = decoder({{8, 1}});
  {
    TraceWriter writer(path("t.db"), info);
    writer.begin_request({});
    writer.add(decode({1}));
  }
  EXPECT_THAT(files(), IsEmpty());
  {
    TraceWriter writer(path("t.db"), info);
    writer.begin_request({});
    writer.add(decode({1}));
    write("t.db", "mine");
    EXPECT_THAT(complaint([&] { writer.commit(); }), HasSubstr("exists already"));
  }
  EXPECT_EQ(text_of(path("t.db")), "mine");
  EXPECT_THAT(files(), ElementsAre("t.db"));
  EXPECT_THAT(complaint([&] { TraceWriter(path("t.db"), info); }), HasSubstr("exists already"));
}

int in_child(const std::function<int()>& action) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(action());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST_F(Store, AFullDiskIsAnErrorAndLeavesNothing) {
  const int status = in_child([&] {
    // Writing past the limit fails like a full disk once the signal is ignored.
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      TraceWriter writer(path("t.db"), decoder({{8, 1}}));
      writer.begin_request({});
      for (int i = 0; i < 2'000'000; ++i) writer.add(decode({1}, 1, i));
      writer.commit();
    } catch (const InputError&) {
      return 7;
    }
    return 0;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Store, AKilledWriterLeavesNoDestination) {
  const int status = in_child([&] {
    TraceWriter writer(path("t.db"), decoder({{8, 1}}));
    writer.begin_request({});
    for (int i = 0; i < 100'000; ++i) writer.add(decode({1}, 1, i));
    ::raise(SIGKILL);
    return 0;
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(std::filesystem::exists(path("t.db")));
}

}  // namespace
}  // namespace pregate::test
