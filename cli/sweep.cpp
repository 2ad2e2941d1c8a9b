// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/plan_file.hpp"
#include "cli/progress.hpp"
#include "cli/ranks.hpp"
#include "cli/report/sweep_page.hpp"
#include "cli/sweep_fill.hpp"
#include "cli/sweep_report.hpp"
#include "models/error.hpp"
#include "sim/report/csv.hpp"
#include "sim/sweep/store.hpp"
#include "traces/output_file.hpp"

namespace pregate::cli {

namespace {

/// Of the database: a row with its result, of a configuration that others share.
constexpr std::int64_t bytes_a_point = 5000;

/// Time of the first point alone, the resolution of its inputs left out.
double seconds_of_first(const SweepInputs& inputs) {
  SweepRunner runner(inputs);
  const SweepTask first{inputs.number_of(Concern::workload, 0), {0}};
  double took = 0;
  for (int i = 0; i < 2; ++i) {
    const auto began = std::chrono::steady_clock::now();
    runner.run(
        first, [](const sim::PointRow&) {}, [] { return false; });
    took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
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

void check_database(const Parsed& parsed) {
  check_outputs(parsed);
  const std::string path = parsed.text("database");
  if (path.empty())
    throw InputError("--database", "there is no database for the results", "name it: -o sweep.db");
  for (const char* option : {"csv", "json-lines", "json", "report"}) {
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
  for (const char* option : {"database", "csv", "json-lines", "json", "report"})
    if (parsed.has(option) && parsed.text(option) != "-")
      refuse_overwriting_inputs(parsed, parsed.text(option));
}

}  // namespace

namespace {

constexpr const char* usage =
    "pregate sweep --vary KEY=LO..HI:N ... [--policy A,B] [--plan FILE] -o sweep.db [--csv FILE]";

Parsed parse_sweep(const Arguments& arguments) {
  Parsed parsed = parse(usage, sweep_options(), arguments);
  if (parsed.help || !parsed.has("plan")) return parsed;
  Arguments all = arguments_of_plan(parsed.text("plan"), sweep_options());
  all.insert(all.end(), arguments.begin(), arguments.end());
  return parse(usage, sweep_options(), all);
}

/// Processes of one computer share its cores.
int threads_in(const Parsed& parsed, const Ranks* ranks) {
  const unsigned cores = ranks != nullptr ? 1 : std::max(1U, std::thread::hardware_concurrency());
  return static_cast<int>(parsed.integer("threads", cores, 1, 1024));
}

/// A sweep that is ready to run.
struct Prepared {
  Prepared(const Parsed& of, const Ranks* ranks)
      : parsed(of), inputs(parsed), threads(threads_in(parsed, ranks)) {
    inputs.check_values();
    const bool is_first = ranks == nullptr || ranks->rank() == 0;
    if (inputs.points().count() > many_points && !parsed.flag("yes")) ask_for_yes(inputs, threads);
    if (is_first)
      store =
          std::make_unique<sim::SweepStore>(parsed.text("database"), inputs.plan(), inputs.points().count());
  }
  Parsed parsed;
  SweepInputs inputs;
  int threads;
  std::unique_ptr<sim::SweepStore> store;  ///< of rank 0
};

/// What all ranks must agree on. False: this rank has nothing more to do.
bool meet(Ranks& ranks, const std::unique_ptr<Prepared>& prepared, const std::exception_ptr& fault,
          const std::string& what) {
  const auto first =
      ranks.meet(what, prepared ? prepared->inputs.plan() : std::string(), prepared ? prepared->threads : 1);
  if (!first) return true;
  if (ranks.rank() != 0) return false;
  if (fault) std::rethrow_exception(fault);
  throw InputError("rank " + std::to_string(first->rank), first->message,
                   "every rank needs the same program and the same files under the same names");
}

}  // namespace

ExitCode sweep(const Arguments& arguments) { return sweep_with(arguments, nullptr); }

ExitCode sweep_with(const Arguments& arguments, JoinRanks join) {
  const std::unique_ptr<Ranks> ranks = join != nullptr ? join() : nullptr;
  std::unique_ptr<Prepared> prepared;
  std::exception_ptr fault;
  std::string what;
  bool helped = false;
  try {
    const Parsed parsed = parse_sweep(arguments);
    helped = parsed.help;
    if (!helped) {
      if (ranks == nullptr || ranks->rank() == 0) check_database(parsed);
      prepared = std::make_unique<Prepared>(parsed, ranks.get());
    }
  } catch (const InputError& error) {
    if (!ranks) throw;
    fault = std::current_exception();
    what = error.what();
  }
  if (helped) return 0;
  if (ranks && !meet(*ranks, prepared, fault, what)) return 2;
  if (ranks && ranks->rank() != 0) {
    SweepRunner runner(prepared->inputs);
    ranks->work(runner, prepared->threads);
    return 0;
  }
  const auto& [parsed, inputs, threads, store] = *prepared;
  if (!fill(inputs, *store, threads, ranks.get())) {
    std::fprintf(stderr, "interrupted; the same command goes on from there\n");
    return 1;
  }
  write_exports(parsed, inputs, *store);
  const SweepReport report{.database = parsed.text("database"),
                           .points = inputs.points().count(),
                           .policies = store->summary(),
                           .best_along = find_best_along(parsed, inputs, *store, threads),
                           .without_effect = axes_without_effect(inputs, *store)};
  std::vector<TextFile> files;
  if (parsed.has("json")) files.push_back({parsed.text("json"), sweep_json(report)});
  if (parsed.has("report"))
    files.push_back(
        {parsed.text("report"), sweep_page(inputs, report, swept_points(inputs, *store), threads)});
  write_files(files);
  show(people(parsed), sweep_text(inputs, report));
  return 0;
}

}  // namespace pregate::cli
