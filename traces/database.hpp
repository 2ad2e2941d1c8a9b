// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace pregate::trace {

/// The schema of docs/traces.md. A file of another version is refused, never guessed at.
inline constexpr std::int32_t application_id = 0x70677472;  // "pgtr"
inline constexpr int schema_version = 1;

/// The CREATE statements, in order; a trace database holds exactly these objects,
std::span<const std::string_view> schema_statements();
/// and of these tables those that its recording can fill: when each request arrived, and how many output
/// tokens each decode step brought. A program that does not know them refuses the file.
std::span<const std::string_view> optional_statements();

/// What a database is of, for messages about one that is not.
struct DatabaseKind {
  const char* what;          ///< "a trace database"
  const char* hint;          ///< where one comes from
  const char* damaged_hint;  ///< what to do about a damaged one
};

/// One SQLite connection; every failure is an InputError at the file's name.
class Database {
 public:
  /// A new database in an existing empty file that nobody else uses; the schema is created.
  static Database create(const std::string& file, const std::string& where);
  /// An existing trace, which may be hostile: never written to, no triggers, views or functions of its own,
  /// the schema compared with ours, the longest value limited by the size of the file.
  static Database open_untrusted(const std::string& file);
  /// Another kind of database, to read and append to; made where there is none. What it stores is not run,
  /// and another program that writes to it is waited for, for five seconds.
  static Database open_to_append(const std::string& file, const DatabaseKind& kind);

  ~Database();
  Database(Database&&) noexcept;
  Database& operator=(Database&&) = delete;

  void execute(const char* sql);
  [[nodiscard]] sqlite3* handle() const { return handle_; }
  [[nodiscard]] const std::string& where() const { return where_; }
  [[noreturn]] void fail(int code) const;

 private:
  Database(sqlite3* handle, std::string where, DatabaseKind kind)
      : handle_(handle), where_(std::move(where)), kind_(kind) {}
  sqlite3* handle_;
  std::string where_;
  DatabaseKind kind_;
};

/// A prepared statement. Columns and parameters are counted from 0 and from 1, as in SQLite.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void bind(int parameter, std::int64_t value);
  void bind(int parameter, double value);
  void bind(int parameter, std::string_view text);
  /// Not copied: must live until the statement ran. nullptr binds NULL.
  void bind_blob(int parameter, const void* bytes, std::size_t size);
  /// True when there is a row.
  bool step();
  void reset();
  /// step() and reset() of a statement without rows.
  void run();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] double real(int column) const;
  enum class Type { integer, real, text, other };
  [[nodiscard]] Type type(int column) const;
  [[nodiscard]] bool is_null(int column) const;
  /// Valid until the next step() or reset().
  [[nodiscard]] std::span<const std::uint8_t> blob(int column) const;

 private:
  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace pregate::trace
