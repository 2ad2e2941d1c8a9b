// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/database.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

constexpr const char* make_hint = "a trace database is made by 'pregate trace import'";
constexpr DatabaseKind of_traces{"a trace database", make_hint, "copy or import it again"};

unsigned big_endian(const unsigned char* bytes, int count) {
  unsigned value = 0;
  for (int i = 0; i < count; ++i) value = (value << 8U) | bytes[i];
  return value;
}

/// Reads the 100-byte header of SQLite's file format (sqlite.org/fileformat2.html) before SQLite does, so
/// that a foreign, empty or truncated file is told from a damaged trace. Returns the file's size.
std::int64_t check_header(const std::string& file) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (!fs::exists(status)) throw InputError(file, "no such file");
  if (fs::is_directory(status)) throw InputError(file, "is a folder, not a trace database", make_hint);
  if (!fs::is_regular_file(status)) throw InputError(file, "is not a regular file", make_hint);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(std::fopen(file.c_str(), "rb"), &std::fclose);
  if (!opened) throw InputError(file, std::string("cannot be opened: ") + std::strerror(errno));
  std::array<unsigned char, 100> header{};
  const std::size_t got = std::fread(header.data(), 1, header.size(), opened.get());
  if (got == 0) throw InputError(file, "is empty", make_hint);
  if (got < header.size() || std::memcmp(header.data(), "SQLite format 3", 16) != 0)
    throw InputError(file, "is not a trace database", make_hint);
  const std::uint32_t found_id = big_endian(header.data() + 68, 4);
  if (found_id != static_cast<std::uint32_t>(application_id))
    throw InputError(file, "is an SQLite database, but not of routing traces", make_hint);
  const auto version = static_cast<std::int32_t>(big_endian(header.data() + 60, 4));
  if (version != schema_version)
    throw InputError(file,
                     "has trace schema version " + std::to_string(version) + ", this program reads version " +
                         std::to_string(schema_version),
                     version > schema_version ? "use a newer pregate, or import the recording again"
                                              : "import the recording again");
  if (header[18] != 1 || header[19] != 1)
    throw InputError(file, "is in write-ahead-log mode, which a finished trace never is", "import it again");
  unsigned page = big_endian(header.data() + 16, 2);
  if (page == 1) page = 65536;
  const auto size = static_cast<std::int64_t>(fs::file_size(file, error));
  const std::int64_t expected = static_cast<std::int64_t>(page) * big_endian(header.data() + 28, 4);
  if (error || page < 512 || size < expected)
    throw InputError(file, "is truncated: " + std::to_string(size) + " bytes of " + std::to_string(expected),
                     "copy or import it again");
  return size;
}

/// A file: URI of the path: immutable, so that no lock, journal or log beside an untrusted file is looked at.
std::string immutable_uri(const std::string& file) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string uri = "file://";
  for (const char c : std::filesystem::absolute(file).string()) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '.' || c == '-' || c == '_';
    if (plain) {
      uri += c;
    } else {
      uri += '%';
      uri += digits[byte >> 4U];
      uri += digits[byte & 15U];
    }
  }
  return uri + "?immutable=1";
}

void check_schema(const Database& database) {
  const auto expected = schema_statements();
  Statement objects(database, "SELECT type, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_autoindex_%'");
  std::size_t found = 0;
  while (objects.step()) {
    const std::string sql = objects.text(1);
    const bool is_table = objects.text(0) == "table";
    const auto optional = optional_statements();
    if (is_table && std::find(optional.begin(), optional.end(), sql) != optional.end()) continue;
    if (!is_table || std::find(expected.begin(), expected.end(), sql) == expected.end())
      throw InputError(database.where(),
                       "its tables are not those of trace schema version " + std::to_string(schema_version),
                       make_hint);
    ++found;
  }
  if (found != expected.size())
    throw InputError(database.where(), "tables of the trace schema are missing", make_hint);
}

}  // namespace

Database Database::create(const std::string& file, const std::string& where) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle, where, of_traces);
  if (code != SQLITE_OK) database.fail(code);
  // The file is a temporary that is removed unless it is finished, so a journal would only cost time.
  database.execute(
      "PRAGMA page_size = 16384; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY");
  database.execute(("PRAGMA application_id = " + std::to_string(application_id)).c_str());
  database.execute(("PRAGMA user_version = " + std::to_string(schema_version)).c_str());
  database.execute("BEGIN EXCLUSIVE");
  for (const std::string_view statement : schema_statements())
    database.execute(std::string(statement).c_str());
  return database;
}

Database Database::open_untrusted(const std::string& file) {
  const std::int64_t size = check_header(file);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(immutable_uri(file).c_str(), &handle,
                                   SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle, file, of_traces);
  if (code != SQLITE_OK) database.fail(code);
  // Nothing stored in a file is longer than the file; a damaged length cannot make SQLite allocate more.
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH,
                static_cast<int>(std::clamp<std::int64_t>(size, 4096, 1'000'000'000)));
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(handle, SQLITE_LIMIT_COLUMN, 32);
  sqlite3_limit(handle, SQLITE_LIMIT_TRIGGER_DEPTH, 0);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  database.execute(
      "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA query_only = ON;"
      "PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY");
  check_schema(database);
  return database;
}

Database Database::open_to_append(const std::string& file, const DatabaseKind& kind) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle, file, kind);
  if (code != SQLITE_OK) database.fail(code);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_busy_timeout(handle, 5000);
  return database;
}

Database::~Database() {
  if (handle_ != nullptr) sqlite3_close_v2(handle_);
}

Database::Database(Database&& other) noexcept
    : handle_(other.handle_), where_(std::move(other.where_)), kind_(other.kind_) {
  other.handle_ = nullptr;
}

void Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

void Database::fail(int code) const {
  // It may quote names of a hostile schema.
  const std::string message =
      printable(handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code), 200);
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
      throw InputError(where_, "is damaged: " + message, kind_.damaged_hint);
    case SQLITE_NOTADB:
      throw InputError(where_, std::string("is not ") + kind_.what, kind_.hint);
    case SQLITE_CANTOPEN:
      throw InputError(where_, std::string("cannot be opened as ") + kind_.what + ": " + message, kind_.hint);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw InputError(where_, message, "another program writes to it: try again");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      throw InputError(where_, "cannot be written: " + message, "check its permissions");
    case SQLITE_TOOBIG:
      throw InputError(where_, "is damaged: a value is longer than the file", kind_.damaged_hint);
    case SQLITE_FULL:
      throw InputError(where_, "the disk is full", "free space, or write elsewhere");
    case SQLITE_IOERR:
      throw InputError(where_, "cannot be read or written: " + message, "is the disk full?");
    case SQLITE_NOMEM:  // which SQLite says of some damaged schemas, too
      throw InputError(where_, "SQLite has not enough memory to read it: it is damaged, or memory is full",
                       kind_.damaged_hint);
    default:
      throw InputError(where_, message);
  }
}

Statement::Statement(const Database& database, std::string_view sql) : database_(database) {
  const int code =
      sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()), &statement_, nullptr);
  if (code != SQLITE_OK) database.fail(code);
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::bind(int parameter, std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_, parameter, value);
  if (code != SQLITE_OK) database_.fail(code);
}

void Statement::bind(int parameter, double value) {
  const int code = sqlite3_bind_double(statement_, parameter, value);
  if (code != SQLITE_OK) database_.fail(code);
}

void Statement::bind(int parameter, std::string_view text) {
  const int code =
      sqlite3_bind_text64(statement_, parameter, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) database_.fail(code);
}

void Statement::bind_blob(int parameter, const void* bytes, std::size_t size) {
  const int code = bytes == nullptr ? sqlite3_bind_null(statement_, parameter)
                                    : sqlite3_bind_blob64(statement_, parameter, bytes, size, SQLITE_STATIC);
  if (code != SQLITE_OK) database_.fail(code);
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail(code);
  return false;
}

void Statement::reset() { sqlite3_reset(statement_); }

void Statement::run() {
  while (step()) {
  }
  reset();
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr || size <= 0) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

double Statement::real(int column) const { return sqlite3_column_double(statement_, column); }

Statement::Type Statement::type(int column) const {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_INTEGER:
      return Type::integer;
    case SQLITE_FLOAT:
      return Type::real;
    case SQLITE_TEXT:
      return Type::text;
    default:
      return Type::other;
  }
}

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::span<const std::uint8_t> Statement::blob(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  if (bytes == nullptr) {
    // NULL, an empty blob, or no memory to read it.
    const int code = sqlite3_errcode(database_.handle());
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) database_.fail(code);
    return {};
  }
  return {static_cast<const std::uint8_t*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

}  // namespace pregate::trace
