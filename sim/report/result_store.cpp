// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <sqlite3.h>

#include <filesystem>
#include <memory>

#include "models/error.hpp"
#include "models/input_file.hpp"
#include "sim/report/config_json.hpp"
#include "sim/report/report.hpp"

namespace pregate::sim {

namespace {

constexpr int application_id = 0x50475231;  // "PGR1": pregate results; traces have another
constexpr int schema_version = 1;

using Database = std::unique_ptr<sqlite3, int (*)(sqlite3*)>;
using Statement = std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)>;

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw InputError(path, what, "choose a new file for --store, or one that pregate made");
}

/// What SQLite says, with a hint that is about it.
[[noreturn]] void fail(const std::string& path, sqlite3* database) {
  const std::string what = sqlite3_errmsg(database);
  switch (sqlite3_errcode(database) & 0xFF) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
      throw InputError(path, "cannot be written: " + what, "is the disk full?");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw InputError(path, what, "another program writes to it: try again");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      throw InputError(path, "cannot be written: " + what, "check its permissions");
    default:
      fail(path, what);
  }
}

void execute(sqlite3* database, const std::string& path, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(path, database);
}

Statement prepare(sqlite3* database, const std::string& path, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) != SQLITE_OK) fail(path, database);
  return {statement, sqlite3_finalize};
}

int pragma(sqlite3* database, const std::string& path, const char* sql) {
  const Statement statement = prepare(database, path, sql);
  return sqlite3_step(statement.get()) == SQLITE_ROW ? sqlite3_column_int(statement.get(), 0) : 0;
}

Database open(const std::string& path) {
  sqlite3* handle = nullptr;
  const int status =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  Database database(handle, sqlite3_close);
  if (status != SQLITE_OK) fail(path, std::string("cannot open or create the result database"));
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_busy_timeout(handle, 5000);
  return database;
}

void ensure_schema(sqlite3* database, const std::string& path) {
  if (pragma(database, path, "SELECT count(*) FROM sqlite_schema") == 0 &&
      pragma(database, path, "PRAGMA application_id") == 0) {
    execute(database, path,
            "CREATE TABLE results(id INTEGER PRIMARY KEY, created TEXT NOT NULL DEFAULT (datetime('now')),"
            " version TEXT NOT NULL, model TEXT NOT NULL, machine TEXT NOT NULL, policy TEXT NOT NULL,"
            " trace_hash TEXT NOT NULL, status TEXT NOT NULL, evidence TEXT NOT NULL, tokens_per_s REAL,"
            " block_mean_ms REAL, peak_gpu_bytes INTEGER NOT NULL, json TEXT NOT NULL) STRICT;"
            "PRAGMA application_id = 1346851377; PRAGMA user_version = 1;");
    return;
  }
  if (pragma(database, path, "PRAGMA application_id") != application_id) {
    fail(path, "this is not a pregate result database");
  }
  const int found = pragma(database, path, "PRAGMA user_version");
  if (found != schema_version) {
    fail(path, "result schema version " + std::to_string(found) + ", this program writes " +
                   std::to_string(schema_version));
  }
}

void bind_text(sqlite3_stmt* statement, int index, const std::string& text) {
  sqlite3_bind_text(statement, index, text.c_str(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
}

void insert(sqlite3* database, const std::string& path, const RunConfiguration& run,
            const SimulationResult& result, const std::optional<Confidence>& confidence) {
  const Statement row = prepare(database, path,
                                "INSERT INTO results(version, model, machine, policy, trace_hash, status, "
                                "evidence, tokens_per_s, block_mean_ms,"
                                " peak_gpu_bytes, json) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const Figures f = figures(result);
  bind_text(row.get(), 1, version());
  bind_text(row.get(), 2, run.model.name);
  bind_text(row.get(), 3, run.machine.name);
  bind_text(row.get(), 4, result.policy.name);
  bind_text(row.get(), 5, run.trace.content_hash);
  bind_text(row.get(), 6, status_of(result));
  bind_text(row.get(), 7, to_string(result.evidence));
  if (result.has_figures()) {
    sqlite3_bind_double(row.get(), 8, f.tokens_per_s);
    sqlite3_bind_double(row.get(), 9, f.block_mean_ms);
  }
  sqlite3_bind_int64(row.get(), 10, result.memory.total().count);
  bind_text(row.get(), 11, results_json(run, {result}, {confidence}));
  if (sqlite3_step(row.get()) != SQLITE_DONE) fail(path, database);
}

}  // namespace

void store_results(const std::string& path, const RunConfiguration& configuration,
                   const std::vector<SimulationResult>& results, const Confidences& confidences) {
  const bool existed = !is_absent(path);
  try {
    const Database database = open(path);
    execute(database.get(), path, "BEGIN IMMEDIATE");
    ensure_schema(database.get(), path);  // an exception rolls back when the database closes
    for (std::size_t i = 0; i < results.size(); ++i) {
      insert(database.get(), path, configuration, results[i],
             i < confidences.size() ? confidences[i] : std::nullopt);
    }
    execute(database.get(), path, "COMMIT");
  } catch (...) {
    std::error_code ignored;
    if (!existed) std::filesystem::remove(path, ignored);  // nothing half-written is left
    throw;
  }
}

}  // namespace pregate::sim
