// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Placements on recordings: learned from the first half of the steps, judged on the second.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "sim/expert_placement/placement_kinds.hpp"
#include "sim/expert_placement/quality.hpp"
#include "tests/support/shared_data.hpp"
#include "traces/import.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

namespace fs = std::filesystem;

class Recording {
 public:
  explicit Recording(const std::string& recording)
      : path_(fs::temp_directory_path() / ("pregate-placement-" + std::to_string(getpid()) + ".db")) {
    trace::import_trace({(test::shared_data() / recording).string()}, path_.string(), {.overwrite = true});
    source_ = trace::open_trace(path_.string());
    map_ = std::make_unique<ExpertMap>(source_->info());
    half_ = source_->info().steps / 2;
    learned_ = measure_routing(*source_, *map_, {0, half_}, recording);
  }
  ~Recording() { fs::remove(path_); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  PlacementQuality unseen(const std::string& kind, int gpus) {
    PlacementRequest request;
    request.gpus = gpus;
    const PlacedExperts placed = place_experts(placement_kind(kind, "test"), *map_, learned_, request);
    const PlacementQuality quality = judge(*source_, *map_, {half_, source_->info().steps}, placed.homes);
    std::printf("%d GPUs %-16s crossings %.3f mean max load %.3f slowest %.3f %s\n", gpus, kind.c_str(),
                quality.crossings, quality.mean_max_load, quality.slowest_share, placed.how.c_str());
    return quality;
  }

 private:
  fs::path path_;
  std::unique_ptr<trace::StepSource> source_;
  std::unique_ptr<ExpertMap> map_;
  std::int64_t half_ = 0;
  RoutingStatistics learned_;
};

// Direction only, as the published -40 % of 2401.08383 is of another model: affinity must have fewer
// crossings than round-robin on tokens that it was not fitted on, and anti-correlation a lower load than
// greedy (2303.06182). That greedy has a lower one than round-robin holds in five of six cases: on gpt-oss
// and two GPUs it has 67.40 % against 67.34 %, which `greedy_helps` = false says.
void expect_published_order(Recording& recording, int gpus, bool greedy_helps = true) {
  const PlacementQuality dealt = recording.unseen("round-robin", gpus);
  EXPECT_LT(recording.unseen("affinity", gpus).crossings, dealt.crossings);
  const PlacementQuality greedy = recording.unseen("greedy", gpus);
  EXPECT_EQ(greedy.mean_max_load < dealt.mean_max_load, greedy_helps);
  EXPECT_LT(recording.unseen("anti-correlation", gpus).mean_max_load, greedy.mean_max_load);
}

TEST(RecordedPlacement, OlmoeOnTokensItWasNotFittedOn) {
  PREGATE_NEEDS_SHARED_DATA();
  Recording recording("traces/olmoe-1b-7b/trace_olmoe_299.jsonl");
  for (const int gpus : {2, 4, 8}) expect_published_order(recording, gpus);
}

TEST(RecordedPlacement, GptOssOnPromptsItWasNotFittedOn) {
  PREGATE_NEEDS_SHARED_DATA();
  Recording recording("traces/gpt-oss-20b/derived-compact-sequences.csv.gz");
  for (const int gpus : {2, 4, 8}) expect_published_order(recording, gpus, gpus > 2);
}

}  // namespace
}  // namespace pregate::sim
