// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The committed residuals are those of the published cases as they are simulated now, and docs/validation
// says of them what they give. PREGATE_UPDATE_GOLDEN=1 writes both: build and run again after the first.
#include "validation/published/residuals.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/shared_data.hpp"
#include "validation/published/nearest.hpp"

namespace pregate::validation {
namespace {

const std::filesystem::path source = PREGATE_SOURCE_DIR;

std::string content_of(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool updates_golden() { return std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr; }

/// Compares, or writes with PREGATE_UPDATE_GOLDEN.
void expect_content(const std::filesystem::path& path, const std::string& computed) {
  if (updates_golden()) {
    std::ofstream(path, std::ios::binary) << computed;
    GTEST_SKIP() << "SKIPPED: wrote " << path;
  }
  EXPECT_EQ(content_of(path), computed) << "if this is meant: PREGATE_UPDATE_GOLDEN=1, then build again";
}

/// Of several GPUs, each case's first and every `every`-th after it.
std::vector<Residual> committed_of_several(std::size_t every) {
  std::map<std::string, std::size_t> rows;
  std::vector<Residual> some;
  for (const Residual& residual : known_residuals())
    if (residual.basis == Basis::several_gpus && rows[residual.published_case]++ % every == 0)
      some.push_back(residual);
  return some;
}

// Served rows take minutes: a third is held against the file, all are written. docs_test computes all of them
// with the case's own constants.
TEST(Residuals, AreWhatTheCasesGive) {
  PREGATE_NEEDS_SHARED_DATA();
  std::vector<std::string> skipped;
  const std::size_t every_served = updates_golden() ? 1 : 3;
  const std::vector<Residual> residuals = compute_residuals({test::shared_data()}, skipped, every_served);
  ASSERT_TRUE(skipped.empty()) << "recordings of " << skipped.front() << " are absent";
  std::vector<Residual> of_one, of_community, of_several;
  for (const Residual& residual : residuals)
    (residual.basis == Basis::several_gpus                       ? of_several
     : residual.published_case.compare(0, 10, "community-") == 0 ? of_community
                                                                 : of_one)
        .push_back(residual);
  const std::filesystem::path folder = source / "validation" / "published";
  expect_content(folder / "residuals.toml", residuals_toml(of_one));
  expect_content(folder / "residuals_community.toml", residuals_toml(of_community));
  if (updates_golden())
    expect_content(folder / "residuals_several_gpus.toml", residuals_toml(of_several));
  else
    EXPECT_EQ(residuals_toml(committed_of_several(every_served)), residuals_toml(of_several));
}

// Fitted rows are no evidence, and the datasheet fits none.
TEST(Residuals, LeaveOutWhatTheirBasisWasFittedOn) {
  std::map<Basis, std::set<std::string>> rows;
  for (const Residual& residual : known_residuals()) {
    EXPECT_TRUE(rows[residual.basis]
                    .insert((residual.software.empty() ? "" : "with " + residual.software + ": ") +
                            residual.published_case + ", " + residual.row)
                    .second)
        << residual.row << " is there twice";
  }
  const std::string fitted = "pregated-a100, Figure 11, switch-base-64, gpu-only";
  EXPECT_TRUE(rows[Basis::calibrated].contains(fitted)) << "the case fits block latencies alone";
  EXPECT_FALSE(rows[Basis::fitted_machine].contains(fitted)) << "the catalogue's machine used it";
  for (const std::string& row : rows[Basis::calibrated]) EXPECT_TRUE(rows[Basis::datasheet].contains(row));
  const std::string calibration = "ktransformers-deepseek-v3, decode, 1 socket, top-8";
  EXPECT_FALSE(rows[Basis::calibrated].contains(calibration));
  EXPECT_TRUE(rows[Basis::datasheet].contains(calibration));
}

std::string percent(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.1f %%", value);
  return text;
}

const char* name_of(Basis basis) {
  return basis == Basis::calibrated       ? "calibrated"
         : basis == Basis::fitted_machine ? "fitted machine"
         : basis == Basis::datasheet      ? "datasheet"
                                          : "datasheet, several GPUs";
}

/// Rows, smallest and largest error by basis and mechanism.
std::string errors_table(const std::vector<Residual>& residuals) {
  std::map<std::pair<Basis, std::string>, std::vector<const Residual*>> groups;
  for (const Residual& residual : residuals) {
    groups[{residual.basis, residual.mechanism}].push_back(&residual);
  }
  std::string text = "| predicted with | mechanism | cases | rows | errors |\n|---|---|---|---|---|\n";
  for (const auto& [key, rows] : groups) {
    std::set<std::string> cases;
    std::vector<double> errors;
    for (const Residual* residual : rows) {
      cases.insert(residual->published_case);
      errors.push_back(residual->percent);
    }
    const auto [least, most] = std::minmax_element(errors.begin(), errors.end());
    std::string names;
    for (const std::string& name : cases) names += (names.empty() ? "" : ", ") + name;
    text += std::string("| ") + name_of(key.first) + " | " + key.second + " | " + names + " | " +
            std::to_string(rows.size()) + " | " +
            (rows.size() > 1 ? percent(*least) + " to " + percent(*most) : percent(*least)) + " |\n";
  }
  return text;
}

/// Whether rows lie in the ranges that others give them, widened as those others ask; and how wide ranges are
/// with the widening that results get, which is that of all rows.
struct Held {
  int rows = 0, inside = 0;
  double least_factor = 1, most_factor = 1;  ///< of all of them the widest
};

Held held(const std::vector<Standing>& all, bool is_near, double widening) {
  Held result;
  for (const Standing& standing : all) {
    if (standing.is_near != is_near) continue;
    std::vector<double> others;
    for (const Standing& other : all)
      if (&other != &standing && other.is_near == is_near) others.push_back(other.needed);
    const double half = standing.half + widening;
    ++result.rows;
    result.inside += standing.needed <= widening_for(others) ? 1 : 0;
    result.least_factor = std::min(result.least_factor, std::exp(-standing.middle - half));
    result.most_factor = std::max(result.most_factor, std::exp(-standing.middle + half));
  }
  return result;
}

constexpr std::array bases = {Basis::calibrated, Basis::fitted_machine, Basis::datasheet,
                              Basis::several_gpus};

std::string coverage_table(const std::vector<Residual>& residuals) {
  const Evidence evidence(residuals);
  std::string text =
      "| predicted with | nearest rows | rows | inside | widened by | widest range "
      "|\n|---|---|---|---|---|---|\n";
  for (const Basis basis : bases) {
    const std::vector<Standing> all = standings(residuals, basis);
    for (const bool is_near : {true, false}) {
      const Widening& widening = evidence.widening(basis);
      const Held rows = held(all, is_near, is_near ? widening.near : widening.far);
      if (rows.rows == 0) continue;
      text += std::string("| ") + name_of(basis) + " | " +
              (is_near ? "of its own GPU, software and mechanism" : "others") + " | " +
              std::to_string(rows.rows) + " | " + std::to_string(rows.inside) + " | " +
              percent(100 * std::expm1(is_near ? widening.near : widening.far)) + " | " +
              percent(100 * (rows.least_factor - 1)) + " to " + percent(100 * (rows.most_factor - 1)) +
              " |\n";
    }
  }
  return text;
}

// The range that a row is given without it (or without its whole case) holds it nine times in ten, and where
// GPU and software are fitted on a case's own rows no such range is wider than 20 % either way. Those of the
// catalogue's fitted machine are (confidence.md): few rows are left that it is not fitted on.
TEST(Residuals, RangesHoldNineOfTenAndAreNarrowWhereFitted) {
  const std::vector<Residual> known = known_residuals();
  const Evidence evidence(known);
  for (const Basis basis : bases) {
    const std::vector<Standing> all = standings(known, basis);
    const Widening& widening = evidence.widening(basis);
    const Held near = held(all, true, widening.near), far = held(all, false, widening.far);
    EXPECT_GE(near.inside + far.inside, std::ceil(0.9 * (near.rows + far.rows))) << name_of(basis);
    EXPECT_EQ(static_cast<std::size_t>(near.rows + far.rows), all.size());
    if (basis != Basis::calibrated) continue;
    EXPECT_GE(near.least_factor, 0.8) << name_of(basis);
    EXPECT_LE(near.most_factor, 1.2) << name_of(basis);
  }
}

TEST(Residuals, ArePrintedInTheDocumentation) {
  const std::filesystem::path path = source / "docs" / "validation" / "confidence.md";
  const std::string text = content_of(path), begin = "<!-- computed: begin -->\n",
                    end = "<!-- computed: end -->";
  const std::size_t from = text.find(begin), to = text.find(end);
  ASSERT_TRUE(from != std::string::npos && to != std::string::npos) << path << " lacks its marks";
  const std::vector<Residual> known = known_residuals();
  expect_content(path, text.substr(0, from) + begin + "**Errors**\n\n" + errors_table(known) +
                           "\n**Do the ranges hold?**\n\n" + coverage_table(known) + "\n" + text.substr(to));
}

}  // namespace
}  // namespace pregate::validation
