// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "cli/command.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/report/text_table.hpp"
#include "sim/schedule/analysis.hpp"

namespace pregate::cli {

namespace {

using sim::OpId;
using sim::TextTable;
using sim::three_digits;

std::string path_table(const sim::CriticalPath& path) {
  const Picoseconds total = path.compute + path.cpu + path.transfer + path.host + path.waiting;
  TextTable table({"critical path", "ms", "%"});
  const auto add = [&](const char* name, Picoseconds part) {
    const double share =
        total.count > 0 ? 100.0 * static_cast<double>(part.count) / static_cast<double>(total.count) : 0;
    table.add({name, three_digits(part.milliseconds()), three_digits(share)});
  };
  add("compute", path.compute);
  if (path.cpu.count > 0) add("CPU experts", path.cpu);
  add("transfer", path.transfer);
  add("host", path.host);
  add("waiting", path.waiting);
  return table.text();
}

/// Time on the path and least slack, by kind of operation.
std::string kind_table(const sim::Schedule& schedule, const sim::Timeline& timeline,
                       const sim::CriticalPath& path) {
  struct Sum {
    std::int64_t operations = 0, on_path = 0, without_slack = 0;
    Picoseconds busy;
  };
  std::array<Sum, sim::op_kind_count> sums;
  const std::vector<Picoseconds> slack = sim::slack(schedule, timeline);
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    Sum& sum = sums[static_cast<std::size_t>(schedule.operation(static_cast<OpId>(i)).kind)];
    ++sum.operations;
    sum.without_slack += slack[i].count == 0 ? 1 : 0;
    sum.busy += timeline.finish[i] - timeline.start[i];
  }
  for (const OpId id : path.operations) ++sums[static_cast<std::size_t>(schedule.operation(id).kind)].on_path;
  TextTable table({"operation", "count", "busy ms", "on the path", "no slack"});
  for (std::size_t kind = 0; kind < sums.size(); ++kind) {
    const Sum& sum = sums[kind];
    if (sum.operations == 0) continue;
    table.add({sim::to_string(static_cast<sim::OpKind>(kind)), std::to_string(sum.operations),
               three_digits(sum.busy.milliseconds()), std::to_string(sum.on_path),
               std::to_string(sum.without_slack)});
  }
  return table.text();
}

}  // namespace

ExitCode analyze(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()("schedule", po::value<std::string>(),
                        "schedule with times (pregate simulate --schedule)");
  const Parsed parsed = parse("pregate analyze SCHEDULE.json", options, arguments, "schedule", 1);
  if (parsed.help) return 0;
  const std::string path = parsed.text("schedule");
  if (path.empty())
    throw InputError("pregate analyze", "no schedule given", "usage: pregate analyze SCHEDULE.json");
  sim::Timeline timeline;
  const sim::Schedule schedule =
      sim::parse_schedule_json(read_text_file(path, Bytes{1LL << 30}), path, &timeline);
  if (schedule.size() == 0 || timeline.finish.size() != schedule.size()) {
    throw InputError(path, "the schedule has no operations or no times",
                     "write it with pregate simulate --schedule");
  }
  const sim::CriticalPath critical = sim::critical_path(schedule, timeline);
  print(std::to_string(schedule.size()) + " operations, " +
        to_string(*std::max_element(timeline.finish.begin(), timeline.finish.end())) + ", acyclic, " +
        std::to_string(critical.operations.size()) + " operations on the critical path\n\n" +
        path_table(critical) + "\n" + kind_table(schedule, timeline, critical));
  return 0;
}

}  // namespace pregate::cli
