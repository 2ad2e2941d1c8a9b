// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "models/document.hpp"
#include "models/table_reader.hpp"
#include "tests/support/shared_data.hpp"
#include "validation/kernels/errors.hpp"

namespace pregate::validation {
namespace {

const std::string folder = PREGATE_SOURCE_DIR "/validation/kernels/";

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

using Kernels = std::tuple<std::string, std::string, std::string>;  // GPU, family, data type

/// Those that miss a gate, with the reason that is given for it.
std::map<Kernels, std::string> known_misses() {
  const Node root = parse_toml_document(text_of(folder + "misses.toml"), "misses.toml");
  TableReader top(root, "");
  std::map<Kernels, std::string> misses;
  for (TableReader& table : top.tables("miss"))
    misses[{table.text("gpu"), table.text("family"), table.text("dtype")}] = table.text("reason");
  return misses;
}

struct Gates {
  double median, percentile_90, kin_median;
};

Gates gates() {
  const Node root = parse_toml_document(text_of(folder + "gates.toml"), "gates.toml");
  TableReader top(root, "");
  TableReader table = top.table("gates");
  return {table.number("median"), table.number("percentile_90"), table.number("kin_median")};
}

bool misses(const KernelFit& fit, const Gates& gates) {
  return fit.median > gates.median || fit.percentile_90 > gates.percentile_90 ||
         fit.kin_median > gates.kin_median;
}

// No data needed: what the catalogue says about itself misses a gate exactly where a reason is given.
TEST(KernelGates, EveryMissHasAReasonAndEveryReasonAMiss) {
  std::map<Kernels, std::string> known = known_misses();
  for (const std::string& name : kernel_gpu_names()) {
    for (const KernelFit& fit : load_gpu_kernels(name).fits) {
      const auto reason = known.find({name, std::string(to_string(fit.family)), fit.dtype});
      EXPECT_EQ(misses(fit, gates()), reason != known.end())
          << name << ' ' << to_string(fit.family) << ' ' << fit.dtype;
      if (reason == known.end()) continue;
      std::cout << "misses a gate: " << name << ' ' << to_string(fit.family) << ' ' << fit.dtype << " median "
                << fit.median << " p90 " << fit.percentile_90 << " kin " << fit.kin_median << ": "
                << reason->second << '\n';
      known.erase(reason);
    }
  }
  EXPECT_TRUE(known.empty()) << "reasons for kernels that are not in the catalogue";
}

// The errors that the catalogue states are those that its constants make on the half that was not fitted.
// They are written with four digits.
TEST(KernelGates, StatedErrorsAreThoseOfTheJudgedHalf) {
  PREGATE_NEEDS_SHARED_DATA();
  for (const std::string& name : kernel_gpu_names()) {
    const GpuKernels kernels = load_gpu_kernels(name);
    std::map<std::pair<KernelFamily, std::string>, std::vector<MeasuredKernel>> judged;
    for (MeasuredKernel& row :
         read_measured_kernels(test::shared_data() / "measurements/gpu-kernels" / name, kernels)) {
      if (row.judged) judged[{row.family, row.dtype}].push_back(std::move(row));
    }
    for (const KernelFit& fit : kernels.fits) {
      const ErrorSummary errors = errors_of(judged[{fit.family, fit.dtype}], kernels.peaks, fit.constants);
      const std::string which = name + ' ' + std::string(to_string(fit.family)) + ' ' + fit.dtype;
      EXPECT_EQ(errors.rows, fit.judged_rows) << which;
      EXPECT_NEAR(errors.median, fit.median, 1e-3 * fit.median) << which;
      EXPECT_NEAR(errors.percentile_90, fit.percentile_90, 1e-3 * fit.percentile_90) << which;
    }
  }
}

// Half of the shapes, give or take chance, whatever their order; the rule does not look at times.
TEST(KernelGates, AShapeMeasuredTwiceFallsIntoOneHalf) {
  PREGATE_NEEDS_SHARED_DATA();
  const GpuKernels kernels = load_gpu_kernels("a100-sxm");
  std::map<std::uint64_t, bool> halves;
  std::size_t judged = 0, rows = 0;
  for (const MeasuredKernel& row :
       read_measured_kernels(test::shared_data() / "measurements/gpu-kernels/a100-sxm", kernels)) {
    const auto [half, added] = halves.emplace(row.hash, row.judged);
    EXPECT_EQ(half->second, row.judged);
    ++rows;
    judged += row.judged ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(judged) / static_cast<double>(rows), 0.5, 0.03);
}

}  // namespace
}  // namespace pregate::validation
