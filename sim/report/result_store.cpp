// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string_view>

#include "models/error.hpp"
#include "models/input_file.hpp"
#include "sim/report/config_json.hpp"
#include "sim/report/report.hpp"
#include "traces/database.hpp"

namespace pregate::sim {

namespace {

constexpr int result_application_id = 0x50475231;  // "PGR1": pregate results; traces have another
constexpr int result_schema_version = 1;

constexpr trace::DatabaseKind of_results{"a pregate result database",
                                         "choose a new file for --store, or one that pregate made",
                                         "choose a new file for --store, or one that pregate made"};

std::int64_t one_number(const trace::Database& database, const char* sql) {
  trace::Statement statement(database, sql);
  return statement.step() ? statement.integer(0) : 0;
}

void ensure_schema(trace::Database& database) {
  if (one_number(database, "SELECT count(*) FROM sqlite_schema") == 0 &&
      one_number(database, "PRAGMA application_id") == 0) {
    database.execute(
        "CREATE TABLE results(id INTEGER PRIMARY KEY, created TEXT NOT NULL DEFAULT (datetime('now')),"
        " version TEXT NOT NULL, model TEXT NOT NULL, machine TEXT NOT NULL, policy TEXT NOT NULL,"
        " trace_hash TEXT NOT NULL, status TEXT NOT NULL, evidence TEXT NOT NULL, tokens_per_s REAL,"
        " block_mean_ms REAL, peak_gpu_bytes INTEGER NOT NULL, json TEXT NOT NULL) STRICT;"
        "PRAGMA application_id = 1346851377; PRAGMA user_version = 1;");
    return;
  }
  if (one_number(database, "PRAGMA application_id") != result_application_id)
    throw InputError(database.where(), "this is not a pregate result database", of_results.hint);
  const std::int64_t found = one_number(database, "PRAGMA user_version");
  if (found != result_schema_version) {
    throw InputError(database.where(),
                     "result schema version " + std::to_string(found) + ", this program writes " +
                         std::to_string(result_schema_version),
                     of_results.hint);
  }
}

void insert(const trace::Database& database, const RunConfiguration& run, const SimulationResult& result,
            const std::optional<Confidence>& confidence) {
  trace::Statement row(database,
                       "INSERT INTO results(version, model, machine, policy, trace_hash, status, evidence,"
                       " tokens_per_s, block_mean_ms, peak_gpu_bytes, json)"
                       " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const std::initializer_list<std::string_view> texts = {version(),
                                                         run.model.name,
                                                         run.machine.name,
                                                         result.policy.name,
                                                         run.trace.content_hash,
                                                         status_of(result),
                                                         to_string(result.evidence)};
  int column = 0;
  for (const std::string_view text : texts) row.bind(++column, text);
  if (result.has_figures()) {  // otherwise NULL
    row.bind(8, result.tokens_per_second());
    row.bind(9, result.tally.block_latency.mean_ms());
  }
  row.bind(10, result.memory.total().count);
  row.bind(11, results_json(run, {result}, {confidence}));
  row.run();
}

}  // namespace

void store_results(const std::string& path, const RunConfiguration& configuration,
                   const std::vector<SimulationResult>& results, const Confidences& confidences) {
  const bool existed = !is_absent(path);
  try {
    trace::Database database = trace::Database::open_to_append(path, of_results);
    database.execute("BEGIN IMMEDIATE");
    ensure_schema(database);  // an exception rolls back when the database closes
    for (std::size_t i = 0; i < results.size(); ++i) {
      insert(database, configuration, results[i], i < confidences.size() ? confidences[i] : std::nullopt);
    }
    database.execute("COMMIT");
  } catch (...) {
    std::error_code ignored;
    if (!existed) std::filesystem::remove(path, ignored);  // nothing half-written is left
    throw;
  }
}

}  // namespace pregate::sim
