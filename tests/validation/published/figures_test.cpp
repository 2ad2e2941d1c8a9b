// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The figures entered in the cases are those of the sources' raw files.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/support/shared_data.hpp"
#include "validation/published/case.hpp"

namespace pregate::validation {
namespace {

using Record = std::map<std::string, std::string>;

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> all;
  std::stringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) {
    if (!cell.empty() && cell.back() == '\r') cell.pop_back();
    all.push_back(cell);
  }
  return all;
}

/// The raw files, read once; `find` by an index over (column=text, ...) as the cases select.
class RawFile {
 public:
  explicit RawFile(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::string line;
    do std::getline(file, line);
    while (line.starts_with('#'));
    const std::vector<std::string> names = cells(line);
    while (std::getline(file, line)) {
      const std::vector<std::string> texts = cells(line);
      Record record;
      for (std::size_t i = 0; i < names.size() && i < texts.size(); ++i) record[names[i]] = texts[i];
      records_.push_back(std::move(record));
    }
  }

  double value(const RawCell& cell) {
    if (cell.row > 0) return std::stod(records_.at(static_cast<std::size_t>(cell.row) - 1).at(cell.column));
    std::string columns, key;
    for (const auto& [column, text] : cell.where) {
      columns += column + "|";
      key += text + "|";
    }
    auto& index = indices_[columns];
    if (index.empty()) {
      for (std::size_t i = 0; i < records_.size(); ++i) {
        std::string texts;
        for (const auto& [column, text] : cell.where) texts += records_[i].at(column) + "|";
        EXPECT_TRUE(index.emplace(texts, i).second) << texts << " occurs twice";
      }
    }
    return std::stod(records_.at(index.at(key)).at(cell.column));
  }

 private:
  std::vector<Record> records_;
  std::map<std::string, std::map<std::string, std::size_t>> indices_;
};

TEST(Figures, AreThoseOfTheRawFiles) {
  PREGATE_NEEDS_SHARED_DATA();
  std::map<std::string, RawFile> files;
  std::map<std::string, int> checked;
  for (const std::string& name : case_names()) {
    for (const EnteredFigure& figure : load_case(name).experiment->entered()) {
      const auto [file, added] =
          files.try_emplace(figure.file, test::shared_data() / "measurements" / figure.file);
      double raw = 0;
      for (const RawCell& cell : figure.cells) raw += cell.scale * file->second.value(cell);
      // Sums are entered with six digits.
      const double tolerance = figure.cells.size() > 1 ? 1e-5 * std::abs(raw) : 0;
      EXPECT_NEAR(figure.value, raw, tolerance) << name << " " << figure.file;
      ++checked[name];
    }
  }
  // All but copies-a100, whose four figures are in no raw file.
  EXPECT_EQ(checked["pregated-a100"], 28 + 16 + 16 + 40 + 30);
  EXPECT_EQ(checked["kernels-rtxpro6000"], 50 + 12);
  EXPECT_EQ(checked["kernels-rtx3090"], 2048 + 12);
  EXPECT_EQ(checked["copies-pcie3"], 4 * 21);
  EXPECT_EQ(checked["cache-replay-qwen3"], 11 * 4 * 2);
  EXPECT_EQ(checked["cache-replay-olmoe"], 4);
  EXPECT_EQ(checked["serving-h100"], 20 * 7);
  EXPECT_EQ(checked["serving-h100-others"], 36 * 7);
}

}  // namespace
}  // namespace pregate::validation
