// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/report/metrics.hpp"
#include "sim/report/report.hpp"
#include "traces/database.hpp"

namespace pregate::sim {

/// Version of the tables (docs/sweep.md).
inline constexpr int sweep_schema_version = 1;

/// One point of a sweep, as its row has it.
struct PointRow {
  std::int64_t point = 0;
  std::int64_t configuration = 0;  ///< the resolved one that it ran with
  std::string settings;            ///< JSON: the value of each axis
  std::string policy;
  std::string status;                ///< of the result, or "refused": the point's input makes no sense
  std::string reason;                ///< where it is not "ok"
  std::vector<MetricValue> figures;  ///< by sweep_columns(); std::monostate: it has none
  std::string result;                ///< JSON of the result, as results_json() has it; empty: refused
};

/// Heads of a point's figures: the metrics that have a column in results_csv(), its confidence and ranges.
const std::vector<std::string>& sweep_columns();
std::vector<MetricValue> sweep_figures(const SimulationResult& result,
                                       const std::optional<Confidence>& confidence);

/// What a sweep says of one policy.
struct PolicySummary {
  std::string policy;
  std::int64_t points = 0, out_of_memory = 0, refused = 0;
  double least = 0, most = 0;  ///< tokens/s, where any point has them
  std::string best;            ///< settings of the first point that has the most; empty: none has any
};

/// The SQLite database of a sweep. Rows come in transactions: whatever ends the program, those that were
/// committed stay, and nothing half-written does. While it is open no other sweep can open it; readers can.
class SweepStore {
 public:
  /// Makes the file, or goes on with one that has the same plan. InputError: another kind of file, a database
  /// of another plan, of another version, another sweep has it open, it cannot be written.
  SweepStore(const std::string& path, const std::string& plan, std::int64_t points);
  ~SweepStore();
  SweepStore(const SweepStore&) = delete;
  SweepStore& operator=(const SweepStore&) = delete;

  /// By point: it has a row.
  [[nodiscard]] const std::vector<std::uint8_t>& done() const { return done_; }
  [[nodiscard]] bool has_configuration(std::int64_t number) const;
  void add_configuration(std::int64_t number, const std::string& json);
  /// Of a point that has no row yet.
  void add(const PointRow& row);
  /// What was added stays from now on. InputError: the disk is full; what was committed before is there.
  void commit();
  /// All rows in the order of points, each with the JSON of its configuration.
  void for_each(const std::function<void(const PointRow&, const std::string& configuration)>& visit);
  /// By policy, in the order of their first points.
  [[nodiscard]] std::vector<PolicySummary> summary() const;
  /// Whether status and all figures of points that lie `stride` apart are the same, where those are
  /// neighbours along an axis of so many values; false where nothing ran.
  [[nodiscard]] bool is_the_same_along(std::int64_t stride, std::int64_t values) const;

 private:
  struct Lock;
  void make_schema(const std::string& plan);
  void check_schema(const std::string& plan);
  void read_done(std::int64_t points);
  void begin();

  std::unique_ptr<Lock> lock_;
  trace::Database database_;
  std::vector<std::uint8_t> done_;
  std::vector<std::int64_t> configurations_;  ///< sorted
  std::unique_ptr<trace::Statement> insert_;
  bool in_transaction_ = false;
};

}  // namespace pregate::sim
