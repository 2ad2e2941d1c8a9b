// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/sweep/store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <variant>

#include "models/error.hpp"
#include "sim/report/shares.hpp"

namespace pregate::sim {

namespace {

constexpr int sweep_application_id = 0x50475357;  // "PGSW"

constexpr const char* other_file = "name a new file with -o, or one that this sweep made";
constexpr trace::DatabaseKind of_sweeps{"a pregate sweep database", other_file,
                                        "remove it and sweep again, or name a new file with -o"};

const std::vector<std::string>& confidence_columns() {
  static const std::vector<std::string> columns{"confidence", "tokens_per_s_low", "tokens_per_s_high",
                                                "decode_tokens_per_s_low", "decode_tokens_per_s_high"};
  return columns;
}

/// The CREATE statements, in order; a sweep database holds exactly these objects.
const std::vector<std::string>& statements() {
  static const std::vector<std::string> all = [] {
    std::string points =
        "CREATE TABLE points(point INTEGER PRIMARY KEY, configuration INTEGER NOT NULL,"
        " settings TEXT NOT NULL, policy TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL";
    for (const std::string& column : sweep_columns()) points += ", \"" + column + "\" ANY";
    points += ", result TEXT) STRICT";
    return std::vector<std::string>{
        "CREATE TABLE sweep(plan TEXT NOT NULL, points INTEGER NOT NULL) STRICT",
        "CREATE TABLE configurations(configuration INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT", points};
  }();
  return all;
}

std::int64_t integer_of(const trace::Database& database, const char* sql) {
  trace::Statement statement(database, sql);
  return statement.step() ? statement.integer(0) : 0;
}

void bind_value(trace::Statement& row, int parameter, const MetricValue& value) {
  if (const auto* count = std::get_if<std::int64_t>(&value)) return row.bind(parameter, *count);
  if (const auto* text = std::get_if<std::string>(&value)) return row.bind(parameter, *text);
  const auto* measure = std::get_if<double>(&value);
  if (measure == nullptr || *measure != *measure) return row.bind_blob(parameter, nullptr, 0);
  row.bind(parameter, *measure);
}

MetricValue value_of(const trace::Statement& row, int column) {
  switch (row.type(column)) {
    case trace::Statement::Type::integer:
      return row.integer(column);
    case trace::Statement::Type::real:
      return row.real(column);
    case trace::Statement::Type::text:
      return row.text(column);
    case trace::Statement::Type::other:
      break;
  }
  return {};
}

}  // namespace

const std::vector<std::string>& sweep_columns() {
  static const std::vector<std::string> columns = [] {
    std::vector<std::string> all;
    for (const Metric& metric : metrics())
      if (!metric.csv.empty()) all.push_back(metric.csv);
    all.insert(all.end(), confidence_columns().begin(), confidence_columns().end());
    return all;
  }();
  return columns;
}

std::vector<MetricValue> sweep_figures(const SimulationResult& result,
                                       const std::optional<Confidence>& confidence) {
  std::vector<MetricValue> figures;
  for (const Metric& metric : metrics()) {
    if (metric.csv.empty()) continue;
    figures.push_back(has(result, metric) ? metric.value(result) : MetricValue{});
  }
  if (!confidence || !result.has_figures()) {
    figures.resize(sweep_columns().size());
    return figures;
  }
  figures.emplace_back(std::string(to_string(confidence->label)));
  for (const bool decode : {false, true}) {
    const RateRange range = decode ? confidence->range_of(result.decode_tokens_per_second())
                                   : confidence->range_of(result.tokens_per_second(), idle_share(result));
    figures.push_back(range.exists() ? MetricValue(range.least) : MetricValue{});
    figures.push_back(range.exists() ? MetricValue(range.most) : MetricValue{});
  }
  return figures;
}

/// A lock on a byte far behind the end of the file, which SQLite's own locks never reach. It belongs to the
/// open file, and ends with the process however that ends.
struct SweepStore::Lock {
  explicit Lock(const std::string& path) : path_(path) {
    struct stat status = {};
    is_new_ = ::stat(path.c_str(), &status) != 0 && errno == ENOENT;
    if (!is_new_ && !S_ISREG(status.st_mode))
      throw InputError(path, "is not a regular file", "name a file for the sweep's database with -o");
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (file_ < 0)
      throw InputError(path, std::string("cannot be written: ") + std::strerror(errno),
                       "check the folder and its permissions");
    struct flock range = {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = off_t{1} << 62;
    range.l_len = 1;
    if (::fcntl(file_, F_OFD_SETLK, &range) == 0) return;
    const int error = errno;
    ::close(file_);
    const bool is_held = error == EAGAIN || error == EACCES;
    throw InputError(
        path,
        is_held ? std::string("another sweep is writing to it")
                : std::string("cannot be locked: ") + std::strerror(error),
        is_held ? "wait for it, or name another file with -o" : "name a file on another file system");
  }
  ~Lock() {
    std::error_code ignored;
    if (is_new_ && !is_made_) std::filesystem::remove(path_, ignored);  // nothing half-made is left
    ::close(file_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  void made() { is_made_ = true; }

 private:
  std::string path_;
  bool is_new_ = false, is_made_ = false;
  int file_ = -1;
};

SweepStore::SweepStore(const std::string& path, const std::string& plan, std::int64_t points)
    : lock_(std::make_unique<Lock>(path)),
      database_(trace::Database::open_to_append(path, of_sweeps)),
      done_(static_cast<std::size_t>(points)) {
  database_.execute("PRAGMA synchronous = NORMAL; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY");
  begin();
  const bool is_empty = integer_of(database_, "SELECT count(*) FROM sqlite_schema") == 0 &&
                        integer_of(database_, "PRAGMA application_id") == 0;
  if (is_empty) make_schema(plan);
  check_schema(plan);
  commit();
  lock_->made();
  read_done(points);
}

SweepStore::~SweepStore() = default;

void SweepStore::make_schema(const std::string& plan) {
  for (const std::string& statement : statements()) database_.execute(statement.c_str());
  database_.execute(("PRAGMA application_id = " + std::to_string(sweep_application_id)).c_str());
  database_.execute(("PRAGMA user_version = " + std::to_string(sweep_schema_version)).c_str());
  trace::Statement row(database_, "INSERT INTO sweep(plan, points) VALUES(?, ?)");
  row.bind(1, plan);
  row.bind(2, static_cast<std::int64_t>(done_.size()));
  row.run();
}

void SweepStore::check_schema(const std::string& plan) {
  if (integer_of(database_, "PRAGMA application_id") != sweep_application_id)
    throw InputError(database_.where(), "this is not a pregate sweep database", other_file);
  const std::int64_t found = integer_of(database_, "PRAGMA user_version");
  if (found != sweep_schema_version) {
    throw InputError(database_.where(),
                     "sweep schema version " + std::to_string(found) + ", this program writes " +
                         std::to_string(sweep_schema_version),
                     other_file);
  }
  std::vector<std::string> expected = statements(), tables;
  trace::Statement objects(database_, "SELECT sql FROM sqlite_schema");
  while (objects.step()) tables.push_back(objects.text(0));
  std::sort(expected.begin(), expected.end());
  std::sort(tables.begin(), tables.end());
  if (tables != expected)
    throw InputError(database_.where(), "its tables are not those of this program's version", other_file);
  trace::Statement sweep(database_, "SELECT plan FROM sweep");
  if (!sweep.step() || sweep.text(0) != plan || sweep.step()) {
    throw InputError(database_.where(),
                     "it is the database of another sweep: axes, options, inputs or version differ",
                     "name a new file with -o, or repeat the command that made it (SELECT plan FROM sweep)");
  }
}

void SweepStore::read_done(std::int64_t points) {
  trace::Statement rows(database_, "SELECT point FROM points");
  while (rows.step()) {
    const std::int64_t point = rows.integer(0);
    if (point < 0 || point >= points)
      throw InputError(database_.where(), "is damaged: it has a point that the sweep has not",
                       of_sweeps.damaged_hint);
    done_[static_cast<std::size_t>(point)] = 1;
  }
  trace::Statement numbers(database_, "SELECT configuration FROM configurations ORDER BY configuration");
  while (numbers.step()) configurations_.push_back(numbers.integer(0));
}

bool SweepStore::has_configuration(std::int64_t number) const {
  return std::binary_search(configurations_.begin(), configurations_.end(), number);
}

void SweepStore::begin() {
  if (in_transaction_) return;
  database_.execute("BEGIN IMMEDIATE");
  in_transaction_ = true;
}

void SweepStore::commit() {
  if (!in_transaction_) return;
  database_.execute("COMMIT");
  in_transaction_ = false;
}

void SweepStore::add_configuration(std::int64_t number, const std::string& json) {
  begin();
  trace::Statement row(database_, "INSERT INTO configurations(configuration, json) VALUES(?, ?)");
  row.bind(1, number);
  row.bind(2, json);
  row.run();
  configurations_.insert(std::lower_bound(configurations_.begin(), configurations_.end(), number), number);
}

void SweepStore::add(const PointRow& row) {
  begin();
  if (!insert_) {
    std::string places;
    for (std::size_t i = 0; i < sweep_columns().size() + 7; ++i) places += i == 0 ? "?" : ", ?";
    insert_ = std::make_unique<trace::Statement>(database_, "INSERT INTO points VALUES(" + places + ")");
  }
  int column = 0;
  insert_->bind(++column, row.point);
  insert_->bind(++column, row.configuration);
  for (const std::string* text : {&row.settings, &row.policy, &row.status, &row.reason})
    insert_->bind(++column, *text);
  for (std::size_t i = 0; i < sweep_columns().size(); ++i)
    bind_value(*insert_, ++column, i < row.figures.size() ? row.figures[i] : MetricValue{});
  bind_value(*insert_, ++column, row.result.empty() ? MetricValue{} : MetricValue(row.result));
  insert_->run();
  done_[static_cast<std::size_t>(row.point)] = 1;
}

void SweepStore::for_each(
    const std::function<void(const PointRow&, const std::string& configuration)>& visit) {
  trace::Statement rows(database_,
                        "SELECT points.*, json FROM points LEFT JOIN configurations USING(configuration)"
                        " ORDER BY point");
  const auto columns = static_cast<int>(sweep_columns().size());
  while (rows.step()) {
    PointRow row{.point = rows.integer(0),
                 .configuration = rows.integer(1),
                 .settings = rows.text(2),
                 .policy = rows.text(3),
                 .status = rows.text(4),
                 .reason = rows.text(5),
                 .figures = {},
                 .result = rows.text(6 + columns)};
    for (int i = 0; i < columns; ++i) row.figures.push_back(value_of(rows, 6 + i));
    visit(row, rows.text(7 + columns));
  }
}

}  // namespace pregate::sim
