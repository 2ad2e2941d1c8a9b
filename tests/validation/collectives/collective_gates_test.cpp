// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The gates of validation/collectives/gates.toml, and the tables of docs/collectives.md, which are computed
// from the measurements. With PREGATE_UPDATE_GOLDEN=1 the page is written instead of compared.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "models/catalog.hpp"
#include "models/document.hpp"
#include "models/table_reader.hpp"
#include "sim/cost/collectives.hpp"
#include "tests/support/shared_data.hpp"
#include "validation/collectives/measured_collectives.hpp"

namespace pregate::validation {
namespace {

using Rows = std::vector<MeasuredCollective>;

const std::string folder = PREGATE_SOURCE_DIR "/validation/collectives/";

std::string text_in(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

using Miss = std::tuple<std::string, std::string, std::string>;  // GPU, kernels, kind

std::map<Miss, std::string> known_collective_misses() {
  const Node root = parse_toml_document(text_in(folder + "misses.toml"), "misses.toml");
  TableReader top(root, "");
  std::map<Miss, std::string> misses;
  for (TableReader& table : top.tables("miss"))
    misses[{table.text("gpu"), table.text("kernels"), table.text("kind")}] = table.text("reason");
  return misses;
}

double gate(const char* name) {
  const Node root = parse_toml_document(text_in(folder + "gates.toml"), "gates.toml");
  TableReader top(root, "");
  TableReader table = top.table("gates");
  return table.number(name);
}

/// Of the judged rows of all fits together, as the catalogue states them.
double stated_error(const GpuCollectives& gpu) {
  double sum = 0, rows = 0;
  for (const CollectiveFit& fit : gpu.fits) {
    sum += static_cast<double>(fit.judged_rows) * fit.mape;
    rows += static_cast<double>(fit.judged_rows);
  }
  return sum / rows;
}

Rows measured(const std::string& gpu) {
  return read_measured_collectives(test::shared_data() / "measurements/gpu-kernels" / gpu);
}

template <typename Wanted>
Rows those(const Rows& rows, Wanted wanted) {
  Rows some;
  for (const MeasuredCollective& row : rows) {
    if (wanted(row)) some.push_back(row);
  }
  return some;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

std::string marked(double error, double limit) {
  return error > limit ? "**" + percent(error) + "**" : percent(error);
}

std::string figure(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// The error of a ring over links of the GPU's datasheet on the rows that a graph or NCCL's benchmark ran.
double datasheet_error(const GpuCollectives& gpu, const Rows& rows) {
  const std::map<std::string, std::pair<const char*, double>> datasheets{
      {"a100-sxm", {"a100-80g-pcie4", 300e9}},
      {"h100-sxm", {"h100-sxm-pcie5", 450e9}},
      {"l40s", {"l40s-pcie4", 32e9}},
      {"rtxpro6000-server", {"rtxpro6000-pcie5", 64e9}}};
  const auto& [machine_name, rate] = datasheets.at(gpu.name);
  const MachineSpec own = load_machine(machine_name);
  MachineSpec machine = load_machine("t4-pcie3");  // a GPU that was not measured
  machine.gpu.count = 8;
  machine.peer = {{rate}, own.h2d.latency, own.h2d.per_copy};
  const sim::CollectiveTimes times(machine);
  double sum = 0;
  std::size_t count = 0;
  for (const MeasuredCollective& row : rows) {
    if (row.launch == CollectiveLaunch::eager) continue;
    const Bytes bytes{static_cast<std::int64_t>(row.bytes)};
    sum += std::abs(times.time({row.kind, bytes, row.gpus}).seconds() / row.seconds - 1);
    ++count;
  }
  return sum / static_cast<double>(count);
}

std::string tables() {
  std::string by_gpu =
      "| GPU | rows judged | error | 2 GPUs | 4 | 8 | limit | verdict | by a ring of the datasheet |\n"
      "|---|---|---|---|---|---|---|---|---|\n";
  std::string by_kind =
      "| GPU | kernels | collective | constants | rows fitted / judged | error "
      "|\n|---|---|---|---|---|---|\n";
  for (const std::string& name : collective_gpu_names()) {
    const GpuCollectives gpu = load_gpu_collectives(name);
    const Rows judged = those(measured(name), [](const MeasuredCollective& row) { return row.judged; });
    const double error = mean_error(judged, gpu);
    by_gpu += "| " + name + " | " + std::to_string(judged.size()) + " | " + marked(error, gate("mape"));
    for (const int gpus : {2, 4, 8}) {
      by_gpu +=
          " | " + percent(mean_error(
                      those(judged, [&](const MeasuredCollective& row) { return row.gpus == gpus; }), gpu));
    }
    by_gpu += " | " + percent(gate("mape")) + " | " + (error > gate("mape") ? "FAIL" : "pass") + " | " +
              percent(datasheet_error(gpu, judged)) + " |\n";
    for (const CollectiveFit& fit : gpu.fits) {
      std::string constants;
      for (const CollectiveConstant& constant : constants_of(fit.kernels, gpu.links)) {
        constants += (constants.empty() ? "" : ", ") + std::string(constant.name) + ' ' +
                     figure(fit.constants.*constant.member / constant.unit);
      }
      by_kind += "| " + name + " | " + std::string(to_string(fit.kernels)) + " | " +
                 std::string(to_string(fit.kind)) + " | " + constants + " | " +
                 std::to_string(fit.fitted_rows) + " / " + std::to_string(fit.judged_rows) + " | " +
                 marked(fit.mape, gate("mape_of_each")) + " |\n";
    }
    by_kind += "| " + name + " | launched one by one | | eager_us " + figure(gpu.eager_s * 1e6) +
               ", eager_nccl_us " + figure(gpu.eager_nccl_s * 1e6) + ", eager_copy " +
               to_string(gpu.eager_copy) + " | | |\n";
  }
  return by_gpu + "\n" + by_kind;
}

// No data needed: what the catalogue says about itself misses a gate exactly where a reason is given.
TEST(CollectiveGates, EveryMissHasAReasonAndEveryReasonAMiss) {
  std::map<Miss, std::string> known = known_collective_misses();
  const auto check = [&](const Miss& which, double error, double limit) {
    const auto reason = known.find(which);
    const auto& [gpu, kernels, kind] = which;
    EXPECT_EQ(error > limit, reason != known.end()) << gpu << ' ' << kernels << ' ' << kind << ' ' << error;
    if (reason == known.end()) return;
    std::cout << "misses a gate: " << gpu << ' ' << kernels << ' ' << kind << ' ' << percent(error) << ": "
              << reason->second << '\n';
    known.erase(reason);
  };
  for (const std::string& name : collective_gpu_names()) {
    const GpuCollectives gpu = load_gpu_collectives(name);
    check({name, "all", "all"}, stated_error(gpu), gate("mape"));
    for (const CollectiveFit& fit : gpu.fits)
      check({name, std::string(to_string(fit.kernels)), std::string(to_string(fit.kind))}, fit.mape,
            gate("mape_of_each"));
  }
  EXPECT_TRUE(known.empty()) << "reasons for collectives that are not in the catalogue";
}

// The errors that the catalogue states are those that its constants make on the half that was not fitted.
TEST(CollectiveGates, StatedErrorsAreThoseOfTheJudgedHalf) {
  PREGATE_NEEDS_SHARED_DATA();
  for (const std::string& name : collective_gpu_names()) {
    const GpuCollectives gpu = load_gpu_collectives(name);
    const Rows rows = measured(name);
    std::size_t counted = 0;
    for (const CollectiveFit& fit : gpu.fits) {
      const Rows judged =
          those(rows, [&](const MeasuredCollective& row) { return row.judged && is_of(row, fit, gpu); });
      const std::string which =
          name + ' ' + std::string(to_string(fit.kernels)) + ' ' + std::string(to_string(fit.kind));
      EXPECT_EQ(judged.size(), fit.judged_rows) << which;
      EXPECT_NEAR(mean_error(judged, gpu), fit.mape, 1e-3 * fit.mape) << which;
      counted += fit.judged_rows + fit.fitted_rows;
    }
    EXPECT_EQ(counted, rows.size()) << name << ": rows that no fit prices";
  }
}

// Half of the calls; one that was measured in two types of as many bytes falls whole into one half.
TEST(CollectiveGates, ACallMeasuredTwiceFallsIntoOneHalf) {
  PREGATE_NEEDS_SHARED_DATA();
  const Rows rows = measured("h100-sxm");
  std::map<std::tuple<CollectiveLibrary, CollectiveLaunch, Collective, int, double>, bool> halves;
  double judged = 0;
  for (const MeasuredCollective& row : rows) {
    const auto [half, added] =
        halves.emplace(std::tuple(row.library, row.launch, row.kind, row.gpus, row.bytes), row.judged);
    EXPECT_EQ(half->second, row.judged);
    judged += row.judged ? 1 : 0;
  }
  EXPECT_NEAR(judged / static_cast<double>(rows.size()), 0.5, 0.03);
  EXPECT_LT(halves.size(), rows.size());
}

TEST(CollectiveGates, ThePageShowsWhatIsComputed) {
  PREGATE_NEEDS_SHARED_DATA();
  const std::string path = PREGATE_SOURCE_DIR "/docs/collectives.md";
  const std::string begin = "<!-- computed: begin -->\n", end = "<!-- computed: end -->";
  std::string page = text_in(path);
  ASSERT_NE(page.find(begin), std::string::npos);
  const std::size_t from = page.find(begin) + begin.size(), to = page.find(end, from);
  ASSERT_NE(to, std::string::npos);
  if (std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << page.replace(from, to - from, tables() + '\n');
    return;
  }
  EXPECT_EQ(page.substr(from, to - from), tables() + '\n')
      << path << ": if this is meant, PREGATE_UPDATE_GOLDEN=1";
}

}  // namespace
}  // namespace pregate::validation
