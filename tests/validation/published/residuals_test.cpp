// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The committed residuals are those of the published cases as they are simulated now, and docs/validation
// says of them what they give. PREGATE_UPDATE_GOLDEN=1 writes both: build and run again after the first.
#include "validation/published/residuals.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/shared_data.hpp"
#include "validation/published/confidence.hpp"

namespace pregate::validation {
namespace {

const std::filesystem::path source = PREGATE_SOURCE_DIR;

std::string content_of(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Compares, or writes with PREGATE_UPDATE_GOLDEN.
void expect_content(const std::filesystem::path& path, const std::string& computed) {
  if (std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << computed;
    GTEST_SKIP() << "SKIPPED: wrote " << path;
  }
  EXPECT_EQ(content_of(path), computed) << "if this is meant: PREGATE_UPDATE_GOLDEN=1, then build again";
}

TEST(Residuals, AreWhatTheCasesGive) {
  PREGATE_NEEDS_SHARED_DATA();
  std::vector<std::string> skipped;
  const std::vector<Residual> residuals = compute_residuals({test::shared_data()}, skipped);
  ASSERT_TRUE(skipped.empty()) << "recordings of " << skipped.front() << " are absent";
  expect_content(source / "validation" / "published" / "residuals.toml", residuals_toml(residuals));
}

// Fitted rows are no evidence, and the datasheet fits none.
TEST(Residuals, LeaveOutWhatTheirBasisWasFittedOn) {
  std::map<Basis, std::set<std::string>> rows;
  for (const Residual& residual : known_residuals()) {
    EXPECT_TRUE(rows[residual.basis].insert(residual.published_case + ", " + residual.row).second)
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
                                          : "datasheet";
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

/// How many rows lie in the range that the rows of all other cases (or all other rows) give for them.
std::string coverage_table(const std::vector<Residual>& residuals) {
  const auto inside = [&](const Residual& wanted, bool whole_case) {
    std::vector<Residual> others;
    for (const Residual& residual : residuals) {
      if (whole_case ? residual.published_case != wanted.published_case : &residual != &wanted)
        others.push_back(residual);
    }
    sim::Confidence range;
    constexpr double measured = 1;
    hold_against_nearest({wanted.basis, wanted.gpu, wanted.model, wanted.mechanism}, others, 0, range);
    const sim::RateRange rates = range.range_of(measured * (1 + wanted.percent / 100));
    return rates.least <= measured && measured <= rates.most;
  };
  std::string text = "| predicted with | left out | rows in their range | of |\n|---|---|---|---|\n";
  for (const Basis basis : {Basis::calibrated, Basis::datasheet}) {
    for (const bool whole_case : {false, true}) {
      int rows = 0, held = 0;
      for (const Residual& residual : residuals) {
        if (residual.basis != basis) continue;
        ++rows;
        held += inside(residual, whole_case) ? 1 : 0;
      }
      text += std::string("| ") + name_of(basis) + " | " +
              (whole_case ? "its whole case" : "the row itself") + " | " + std::to_string(held) + " | " +
              std::to_string(rows) + " |\n";
    }
  }
  return text;
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
