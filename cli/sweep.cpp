// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/sweep_run.hpp"
#include "models/error.hpp"
#include "sim/report/csv.hpp"
#include "sim/report/text_table.hpp"
#include "sim/sweep/store.hpp"
#include "traces/output_file.hpp"

namespace pregate::cli {

namespace {

using Seconds = std::chrono::duration<double>;
using WallClock = std::chrono::steady_clock;

/// Of the database: a row with its result, of a configuration that others share.
constexpr std::int64_t bytes_a_point = 5000;
constexpr double seconds_between_commits = 0.5;
/// Rows that threads may be ahead of the database.
constexpr std::size_t most_waiting = 1024;

double seconds_since(WallClock::time_point begin) { return Seconds(WallClock::now() - begin).count(); }

/// Rows on their way from the threads that compute to the one that writes.
class RowQueue {
 public:
  void put(sim::PointRow row) {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, [&] { return rows_.size() < most_waiting || is_closed_; });
    rows_.push_back(std::move(row));
    has_rows_.notify_one();
  }
  /// Those that are there, after a while if none is.
  std::deque<sim::PointRow> take() {
    std::unique_lock lock(mutex_);
    has_rows_.wait_for(lock, std::chrono::milliseconds(100), [&] { return !rows_.empty(); });
    has_room_.notify_all();
    return std::exchange(rows_, {});
  }
  /// Nobody takes any more: who waits for room need not.
  void close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    has_room_.notify_all();
  }
  void wake() { has_rows_.notify_one(); }

 private:
  std::mutex mutex_;
  std::condition_variable has_rows_, has_room_;
  std::deque<sim::PointRow> rows_;
  bool is_closed_ = false;
};

/// Points done, their rate and the time that is left, on a terminal.
class PointProgress {
 public:
  PointProgress(std::int64_t done, std::int64_t all)
      : first_(done), done_(done), all_(all), shown_(isatty(STDERR_FILENO) != 0), began_(WallClock::now()) {}
  void add(std::size_t points) { done_ += static_cast<std::int64_t>(points); }
  void show() {
    if (!shown_ || seconds_since(last_) < 0.2) return;
    last_ = WallClock::now();
    const double took = seconds_since(began_);
    const double rate = static_cast<double>(done_ - first_) / std::max(took, 1e-3);
    const double left = static_cast<double>(all_ - done_) / std::max(rate, 1e-3);
    std::fprintf(stderr, "\r%lld of %lld points, %.0f a second, %s left   ", static_cast<long long>(done_),
                 static_cast<long long>(all_), rate, duration(left).c_str());
  }
  void clear() const {
    if (shown_) std::fprintf(stderr, "\r%70s\r", "");
  }
  [[nodiscard]] std::int64_t done() const { return done_; }

 private:
  std::int64_t first_, done_, all_;
  bool shown_;
  WallClock::time_point began_, last_{};
};

/// Threads that compute tasks in turn. The first error that is nobody's input stops them.
class Workers {
 public:
  Workers(SweepRunner& runner, const std::vector<SweepTask>& tasks, int threads, RowQueue& rows)
      : runner_(runner), tasks_(tasks), rows_(rows), running_(threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void stop() {
    stopped_ = true;
    rows_.close();
    threads_.clear();
  }
  [[nodiscard]] bool are_done() const { return running_ == 0; }
  void rethrow() const {
    if (fault_) std::rethrow_exception(fault_);
  }

 private:
  void work() {
    try {
      for (std::size_t i = next_++; i < tasks_.size() && !stopped_; i = next_++) {
        runner_.run(
            tasks_[i], [&](sim::PointRow row) { rows_.put(std::move(row)); },
            [&] { return stopped_.load(); });
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!fault_) fault_ = std::current_exception();
      stopped_ = true;
    }
    --running_;
    rows_.wake();
  }

  SweepRunner& runner_;
  const std::vector<SweepTask>& tasks_;
  RowQueue& rows_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stopped_{false};
  std::atomic<int> running_;
  std::mutex mutex_;
  std::exception_ptr fault_;
  std::vector<std::jthread> threads_;
};

/// Computes what is left into the store. False when Ctrl-C ended it.
bool fill(const SweepInputs& inputs, sim::SweepStore& store, int threads) {
  SweepRunner runner(inputs);
  const std::vector<SweepTask> tasks = tasks_of(inputs, store.done(), threads);
  const auto before = std::count(store.done().begin(), store.done().end(), std::uint8_t{1});
  PointProgress progress(before, inputs.points().count());
  std::int64_t kept = before;
  RowQueue rows;
  const CatchInterrupt interruptible;
  try {
    Workers workers(runner, tasks, std::min<int>(threads, std::max<int>(1, static_cast<int>(tasks.size()))),
                    rows);
    WallClock::time_point committed = WallClock::now();
    for (bool last = false; !last;) {
      last = workers.are_done() || interrupts != 0;
      if (last) workers.stop();
      const std::deque<sim::PointRow> some = rows.take();
      for (const sim::PointRow& row : some) {
        if (!store.has_configuration(row.configuration))
          store.add_configuration(row.configuration, runner.configuration(row.configuration));
        store.add(row);
      }
      progress.add(some.size());
      progress.show();
      if (!last && seconds_since(committed) < seconds_between_commits) continue;
      store.commit();
      kept = progress.done();
      committed = WallClock::now();
    }
    progress.clear();
    workers.rethrow();
  } catch (...) {
    progress.clear();
    std::fprintf(stderr, "%lld of %lld points are kept; the same command goes on from there\n",
                 static_cast<long long>(kept), static_cast<long long>(inputs.points().count()));
    throw;
  }
  return progress.done() == inputs.points().count();
}

/// Time of the first point alone, the resolution of its inputs left out.
double seconds_of_first(const SweepInputs& inputs) {
  SweepRunner runner(inputs);
  const SweepTask first{inputs.number_of(Concern::workload, 0), inputs.number_of(Concern::policy, 0), {0}};
  double took = 0;
  for (int i = 0; i < 2; ++i) {
    const WallClock::time_point began = WallClock::now();
    runner.run(
        first, [](const sim::PointRow&) {}, [] { return false; });
    took = seconds_since(began);
  }
  return took;
}

void ask_for_yes(const SweepInputs& inputs, int threads) {
  const std::int64_t points = inputs.points().count();
  const double seconds = seconds_of_first(inputs) * static_cast<double>(points) / threads;
  throw InputError("sweep",
                   std::to_string(points) + " points: about " + duration(seconds) +
                       " if each takes as long as the first, and a database of about " +
                       to_string(Bytes{points * bytes_a_point}),
                   "--yes runs them; fewer values or --sample sobol:500 take less");
}

/// Where an export goes: a file that appears when it is complete, or standard output.
class Export {
 public:
  explicit Export(const std::string& path) : path_(path) {
    if (path == "-") return;
    output_ = std::make_unique<trace::OutputFile>(path, true);
    file_.reset(std::fopen(output_->temporary().c_str(), "wb"));
    if (!file_) throw InputError(path, "cannot be written", "check the folder and its permissions");
  }
  void write(const std::string& text) {
    std::FILE* const to = file_ ? file_.get() : stdout;
    if (std::fwrite(text.data(), 1, text.size(), to) != text.size()) fail();
  }
  void finish() {
    if (!file_) {
      if (std::fflush(stdout) != 0) fail();
      return;
    }
    if (std::fclose(file_.release()) != 0) fail();
    output_->publish();
  }

 private:
  [[noreturn]] void fail() const {
    throw InputError(path_ == "-" ? "standard output" : path_, "cannot write", "is the disk full?");
  }
  std::string path_;
  std::unique_ptr<trace::OutputFile> output_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, &std::fclose};
};

std::string text_in(const nlohmann::json& settings, const std::string& key) {
  const auto at = settings.find(key);
  return at != settings.end() && at->is_string() ? at->get<std::string>() : std::string();
}

void write_exports(const Parsed& parsed, const SweepInputs& inputs, sim::SweepStore& store) {
  if (parsed.has("csv")) {
    Export csv(parsed.text("csv"));
    std::string head = "point";
    for (const sim::Axis& axis : inputs.points().axes()) head += "," + sim::csv_field(axis.key);
    head += ",status,reason";
    for (const std::string& column : sim::sweep_columns()) head += "," + column;
    csv.write(head + "\n");
    store.for_each([&](const sim::PointRow& row, const std::string&) {
      const auto settings = nlohmann::json::parse(row.settings, nullptr, false);
      std::string line = std::to_string(row.point);
      for (const sim::Axis& axis : inputs.points().axes())
        line += "," + sim::csv_field(text_in(settings, axis.key));
      line += "," + sim::csv_field(row.status) + "," + sim::csv_field(row.reason);
      for (const sim::MetricValue& value : row.figures) line += "," + sim::csv_field(sim::csv_cell(value));
      csv.write(line + "\n");
    });
    csv.finish();
  }
  if (!parsed.has("json-lines")) return;
  Export lines(parsed.text("json-lines"));
  store.for_each([&](const sim::PointRow& row, const std::string& configuration) {
    nlohmann::ordered_json line{{"point", row.point}, {"status", row.status}, {"reason", row.reason}};
    const auto parsed_part = [](const std::string& text) {
      auto part = nlohmann::ordered_json::parse(text, nullptr, false);
      return part.is_discarded() ? nlohmann::ordered_json() : part;
    };
    line["settings"] = parsed_part(row.settings);
    line["config"] = parsed_part(configuration);
    line["result"] = parsed_part(row.result);
    lines.write(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  });
  lines.finish();
}

std::string summary_text(const SweepInputs& inputs, const sim::SweepStore& store, const std::string& path) {
  const std::int64_t all = inputs.points().count();
  sim::TextTable table({"policy", "points", "do not fit", "refused", "tokens/s from", "to"});
  std::string best;
  for (const sim::PolicySummary& each : store.summary()) {
    const bool ran = !each.best.empty();
    table.add({each.policy, std::to_string(each.points), std::to_string(each.out_of_memory),
               std::to_string(each.refused), ran ? sim::three_digits(each.least) : "-",
               ran ? sim::three_digits(each.most) : "-"});
    const auto settings = nlohmann::ordered_json::parse(each.best, nullptr, false);
    if (!ran || !settings.is_object()) continue;
    std::string where;
    for (const auto& [key, value] : settings.items()) {
      const auto axis = std::find_if(inputs.points().axes().begin(), inputs.points().axes().end(),
                                     [&, name = key](const sim::Axis& of) { return of.key == name; });
      if (key == "policy" || axis == inputs.points().axes().end() || axis->values.size() == 1) continue;
      where += (where.empty() ? "" : ", ") + key + "=" + (value.is_string() ? value.get<std::string>() : "");
    }
    best += each.policy + ": " + sim::three_digits(each.most) + " tokens/s at " +
            (where.empty() ? "its only point" : where) + "\n";
  }
  return path + ": " + std::to_string(all) + " points\n\n" + table.text() + "All figures are simulated.\n\n" +
         best;
}

void check_database(const Parsed& parsed) {
  const std::string path = parsed.text("database");
  if (path.empty())
    throw InputError("--database", "there is no database for the results", "name it: -o sweep.db");
  for (const char* option : {"csv", "json-lines"}) {
    if (!parsed.has(option) || parsed.text(option) == "-") continue;
    std::error_code ignored;
    const auto key = [&](const std::string& name) {
      return std::filesystem::weakly_canonical(std::filesystem::absolute(name), ignored);
    };
    if (key(parsed.text(option)) == key(path))
      throw InputError("--" + std::string(option),
                       "'" + printable(path, 200) + "' is also the file of --database",
                       "give every output a file of its own");
  }
  for (const char* option : {"database", "csv", "json-lines"})
    if (parsed.has(option) && parsed.text(option) != "-")
      refuse_overwriting_inputs(parsed, parsed.text(option));
}

}  // namespace

ExitCode sweep(const Arguments& arguments) {
  const char* usage =
      "pregate sweep --vary KEY=LO..HI:N ... [--policy A,B] [--plan FILE] -o sweep.db [--csv FILE]";
  Parsed parsed = parse(usage, sweep_options(), arguments);
  if (parsed.help) return 0;
  if (parsed.has("plan")) {
    Arguments all = arguments_of_plan(parsed.text("plan"), sweep_options());
    all.insert(all.end(), arguments.begin(), arguments.end());
    parsed = parse(usage, sweep_options(), all);
  }
  check_database(parsed);
  const SweepInputs inputs(parsed);
  inputs.check_values();
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const auto threads = static_cast<int>(parsed.integer("threads", cores, 1, 1024));
  const std::int64_t points = inputs.points().count();
  if (points > many_points && !parsed.flag("yes")) ask_for_yes(inputs, threads);
  sim::SweepStore store(parsed.text("database"), inputs.plan(), points);
  if (!fill(inputs, store, threads)) {
    std::fprintf(stderr, "interrupted; the same command goes on from there\n");
    return 1;
  }
  write_exports(parsed, inputs, store);
  show(people(parsed), summary_text(inputs, store, parsed.text("database")));
  return 0;
}

}  // namespace pregate::cli
