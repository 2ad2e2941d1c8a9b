// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "traces/database.hpp"
#include "traces/layout.hpp"
#include "traces/trace.hpp"

namespace pregate::trace {

/// Everything but the steps, checked. Counts are what the file claims, bounded by what its tables hold.
TraceInfo read_info(const Database& database);

/// The steps of a database in order, each checked against its layout. A fault is reported rather than thrown,
/// so that a check can go on after it; what SQLite itself cannot read is an InputError.
class StepRows {
 public:
  StepRows(const Database& database, const TraceInfo& info);

  enum class Row { end, step, fault };
  /// Fills `step`, or fault() with what is wrong with the row.
  Row next(Step& step);
  void rewind();
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  /// Decodes column `column` into `ids`; false when its length is not `entries` ids.
  bool read_ids(int column, const StackLayout& layout, std::int64_t entries, const char* what,
                std::vector<std::uint16_t>& ids);
  bool read_weights(std::int64_t entries);
  bool read_step(std::int64_t row, Step& step);
  /// What the optional tables say of the step in row `row`.
  bool read_more(std::int64_t row, Step& step);

  const TraceInfo& info_;
  std::vector<StackLayout> layouts_;
  StepOrder order_;
  Statement statement_;
  std::optional<Statement> arrivals_, accepted_;
  std::int64_t last_arrival_ = 0;
  std::vector<std::uint16_t> experts_, predicted_;
  std::vector<float> weights_;
  std::string fault_;
  bool ended_ = false;
  std::int64_t rows_ = 0, last_request_ = -1, last_index_ = -1;
};

}  // namespace pregate::trace
