// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
/// Small runs on the stand-in as processes of their own: calls that fail, memory that runs out, waits left
/// out. The stand-in ends a process that leaked, raced or misused the interface with status 99.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "models/catalog.hpp"
#include "tests/runtime/cuda/child.hpp"
#include "tests/runtime/cuda/small_run.hpp"
#include "tests/runtime/execute_checks.hpp"
#include "tests/support/every_fault.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::runtime::test {
namespace {

using pregate::test::ChildOutcome;
using pregate::test::last_line;
using testing::HasSubstr;

constexpr int findings = 99;  // the stand-in's exit status

using Variables = std::map<std::string, std::string>;

ChildOutcome run_small(const std::vector<std::string>& arguments, Variables variables) {
  variables["LD_LIBRARY_PATH"] = PREGATE_STANDIN;
  return pregate::test::run_child(PREGATE_EXECUTE_ONCE, arguments, variables, 60);
}

/// Runs it whole; the document that the stand-in writes to the file that `variable` names.
nlohmann::json document_of(const std::vector<std::string>& arguments, const std::string& variable) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("pregate-standin-" + std::to_string(::getpid()) + ".json");
  const ChildOutcome whole = run_small(arguments, {{variable, file.string()}});
  EXPECT_EQ(whole.exit_code, outputs_right) << whole.err;
  std::ifstream written(file);
  nlohmann::json document = nlohmann::json::parse(written);
  std::filesystem::remove(file);
  return document;
}

/// Calls that give something back: nothing is lost when they fail, and destructors have nobody to tell.
bool gives_back(const std::string& function) {
  return function.find("Free") != std::string::npos || function.find("Destroy") != std::string::npos;
}

// Every single call of the run fails once: the process ends by itself with one line that names the call, and
// has given back all it had.
TEST(CudaOnStandin, EveryCallThatFailsIsAClearError) {
  const std::vector<std::string> arguments{"pre-gated", "0", "4"};
  int tried = 0;
  const auto calls = document_of(arguments, "STANDIN_CALLS").at("calls").get<std::map<std::string, int>>();
  for (const auto& [function, count] : calls) {
    // What fails is called "kernel <name>" where it is a launch, and what was wanted where memory is out.
    const std::string named = function == "cudaLaunchKernel" ? "kernel " : function;
    const bool allocates = function == "cudaMalloc" || function == "cudaHostAlloc";
    for (int n = 1; n <= count; ++n) {
      if (!pregate::test::is_tried(n - 1, count)) continue;
      ++tried;
      const std::string rule = function + ":" + std::to_string(n);
      const ChildOutcome run =
          run_small(arguments, {{"STANDIN_FAIL", rule + (allocates ? ":cudaErrorMemoryAllocation" : "")}});
      const std::string where =
          function + " " + std::to_string(n) + "/" + std::to_string(count) + ": " + run.err;
      ASSERT_FALSE(run.hung) << where;
      if (gives_back(function)) {
        EXPECT_EQ(run.exit_code, outputs_right) << where;
      } else if (function == "cudaDeviceSynchronize") {
        // Only destructors call it. Where it fails the device is lost, and the next call, if there is one,
        // says so.
        EXPECT_THAT(run.exit_code, testing::AnyOf(outputs_right, error_said)) << where;
      } else if (allocates) {
        EXPECT_EQ(run.exit_code, out_of_memory_said) << where;
        EXPECT_THAT(last_line(run.err), testing::StartsWith("out of memory: ")) << where;
      } else {
        EXPECT_EQ(run.exit_code, error_said) << where;
        EXPECT_THAT(last_line(run.err),
                    testing::AllOf(testing::StartsWith("error: "), HasSubstr(named),
                                   testing::AnyOf(HasSubstr("(cuda"), HasSubstr("(CUBLAS_STATUS_"))))
            << where;
      }
    }
  }
  EXPECT_GT(tried, 100);
}

// 36 MiB, of which cuBLAS's workspace takes 32: all experts (4.5 MiB) do not fit beside it, but a few of them
// do.
TEST(CudaOnStandin, OutOfMemoryIsAResult) {
  const Variables small{{"STANDIN_MEMORY_MIB", "36"}};
  const ChildOutcome all = run_small({"gpu-only", "0", "24"}, small),
                     few = run_small({"on-demand", "0", "24"}, small);
  EXPECT_EQ(all.exit_code, out_of_memory_said) << all.err;
  EXPECT_THAT(all.err,
              HasSubstr("out of memory: gpu-only: cuBLAS's workspace for stream compute needs 32 MiB"));
  EXPECT_EQ(few.exit_code, outputs_right) << few.err;
  EXPECT_EQ(run_small({"gpu-only", "0", "24"}, {}).exit_code, outputs_right);
}

// What models/catalog/software/pregate.toml counts, and beside it, for each pass, norm and product of the
// head.
TEST(CudaOnStandin, LaunchesAreThoseThatItsDescriptionCounts) {
  constexpr int experts = 4, head = 2;
  const SoftwareSpec::Kernels kernels = load_software("pregate").kernels;
  int expected = 0;
  pregate::test::ListSource source = small_source(experts);
  source.rewind();
  for (trace::Step step; source.next(step); expected += head) {
    const std::size_t a_layer = step.experts.size() / small_layers;
    for (int layer = 0; layer < small_layers; ++layer) {
      const auto* const ids = step.experts.data() + static_cast<std::size_t>(layer) * a_layer;
      const std::set<int> activated(ids, ids + a_layer);
      expected += kernels.attention + kernels.gate + kernels.experts +
                  kernels.expert * static_cast<int>(activated.size());
    }
  }
  const auto calls =
      document_of({"gpu-only", "0", std::to_string(experts), "-1", "kv-cache"}, "STANDIN_CALLS")
          .at("calls")
          .get<std::map<std::string, int>>();
  int launched = 0;
  for (const auto& [function, count] : calls)
    if (function == "cudaLaunchKernel" || function.find("Gemm") != std::string::npos) launched += count;
  EXPECT_EQ(launched, expected);
}

/// A wait between streams, as the executor issues them: operations in order, for each the latest dependency
/// on every other stream.
struct Wait {
  sim::OpKind waiting, awaited;
};

std::vector<Wait> waits_of(const sim::Schedule& schedule) {
  std::vector<Wait> waits;
  for (sim::OpId id = 0; id < static_cast<sim::OpId>(schedule.size()); ++id) {
    const sim::Operation& operation = schedule.operation(id);
    std::array<sim::OpId, sim::one_gpu::streams> latest;
    latest.fill(sim::no_op);
    for (const sim::OpId before : schedule.dependencies(id)) {
      const sim::Operation& awaited = schedule.operation(before);
      if (awaited.step != operation.step || awaited.stream == operation.stream) continue;
      sim::OpId& of_stream = latest[static_cast<std::size_t>(awaited.stream)];
      of_stream = std::max(of_stream, before);
    }
    for (const sim::OpId before : latest) {
      if (before != sim::no_op) waits.push_back({operation.kind, schedule.operation(before).kind});
    }
  }
  return waits;
}

/// What the planner issues in the small run with four experts a layer and no cache.
sim::Schedule simulated_schedule(const std::string& policy) {
  ListSource source = small_source(4);
  return pregate::test::run(small_model(4), pregate::test::tiny_machine(), policy_of(policy, "0"), source,
                            {.recorded_steps = 100})
      .schedule;
}

// Each wait is left out once. Between an expert's copy and its use, and between a gate and the copy of its
// ids, nothing else gives an order, so the stand-in must report a race, although the outputs were right;
// others may be implied by what the host has waited for.
TEST(CudaOnStandin, AWaitLeftOutIsARace) {
  for (const char* policy : {"on-demand", "pre-gated"}) {
    std::map<std::string, int> seen;
    const std::vector<Wait> waits = waits_of(simulated_schedule(policy));
    for (std::size_t i = 0; i < waits.size(); ++i) {
      const Wait& wait = waits[i];
      const ChildOutcome run =
          run_small({policy, "0", "4", std::to_string(i)}, {{"STANDIN_SCHEDULE", "eager"}});
      const std::string pair = std::string(to_string(wait.waiting)) + " after " + to_string(wait.awaited);
      const bool must_race =
          (wait.waiting == sim::OpKind::experts && wait.awaited == sim::OpKind::fetch) ||
          (wait.waiting == sim::OpKind::gate_readback && wait.awaited == sim::OpKind::gate);
      if (must_race || run.exit_code == findings) {
        EXPECT_EQ(run.exit_code, findings) << policy << ", wait " << i << ": " << pair;
        EXPECT_THAT(run.err, HasSubstr("standin: race: ")) << pair;
        if (must_race) ++seen[pair];
      } else {
        EXPECT_EQ(run.exit_code, outputs_right) << pair << ": " << run.err;
      }
    }
    EXPECT_THAT(seen, testing::SizeIs(2)) << policy;
  }
}

struct Work {
  double start_us, end_us;
};

/// What a run left on the stand-in's clock.
struct DeviceTimeline {
  std::string order;          ///< as issued: Gate, Read-back, Fetch, Experts
  std::vector<Work> fetches;  ///< one at a time
  std::vector<Work> compute;
};

DeviceTimeline device_timeline(const std::string& policy) {
  DeviceTimeline timeline;
  const nlohmann::json document = document_of({policy, "0", "4"}, "STANDIN_TIMELINE");
  for (const auto& row : document.at("operations")) {
    const auto kind = row.at("kind").get<std::string>(), name = row.at("name").get<std::string>();
    const auto bytes = row.at("bytes").get<std::int64_t>();
    const Work work{row.at("start_us").get<double>(), row.at("end_us").get<double>()};
    if (kind == "kernel" || kind == "gemm") timeline.compute.push_back(work);
    if (kind == "h2d" && bytes == pregate::test::tiny_expert.count) {
      timeline.fetches.push_back(work);
      timeline.order += 'F';
    }
    constexpr std::int64_t most_ids = 4 * 3 * small_top_k;  // larger ones are the outputs
    if (kind == "d2h" && bytes <= most_ids) timeline.order += 'R';
    if (name.find("router_kernel") != std::string::npos) timeline.order += 'G';
    if (name.find("combine_kernel") != std::string::npos) timeline.order += 'E';
  }
  return timeline;
}

std::string order_of(const sim::Schedule& schedule) {
  std::string order;
  for (sim::OpId id = 0; id < static_cast<sim::OpId>(schedule.size()); ++id) {
    const sim::OpKind kind = schedule.operation(id).kind;
    if (kind == sim::OpKind::gate) order += 'G';
    if (kind == sim::OpKind::gate_readback) order += 'R';
    if (kind == sim::OpKind::fetch) order += 'F';
    if (kind == sim::OpKind::experts) order += 'E';
  }
  return order;
}

/// During how much of the fetches something is computed, by the simulated clock.
double hidden_us(const DeviceTimeline& timeline) {
  double hidden = 0;
  for (const Work& fetch : timeline.fetches) {
    for (const Work& work : timeline.compute)
      hidden += std::max(0.0, std::min(fetch.end_us, work.end_us) - std::max(fetch.start_us, work.start_us));
  }
  return hidden;
}

// The device got what the planner issued in the planner's order, and its copies run beside compute where the
// policy means them to: fetches on demand have nothing to hide behind.
TEST(CudaOnStandin, CopiesOverlapComputeAsThePolicySays) {
  const DeviceTimeline on_demand = device_timeline("on-demand"), pre_gated = device_timeline("pre-gated");
  EXPECT_EQ(on_demand.order, order_of(simulated_schedule("on-demand")));
  EXPECT_EQ(pre_gated.order, order_of(simulated_schedule("pre-gated")));
  EXPECT_EQ(hidden_us(on_demand), 0);
  EXPECT_GT(hidden_us(pre_gated), 10);  // of about 9 us a copy
}

}  // namespace
}  // namespace pregate::runtime::test
