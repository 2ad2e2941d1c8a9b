// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/run.hpp"
#include "cli/sensitivity.hpp"
#include "cli/without_effect.hpp"
#include "models/error.hpp"
#include "sim/report/shares.hpp"
#include "sim/report/text_table.hpp"
#include "sim/schedule/schedule.hpp"

namespace pregate::cli {

namespace {

/// Where the time and the memory went, below the table.
std::string details(const sim::SimulationResult& result) {
  sim::TextTable memory({"GPU memory at its peak", "MiB"});
  for (int i = 0; i < sim::memory_purpose_count; ++i) {
    const Bytes part = result.memory.peak[static_cast<std::size_t>(i)];
    if (part.count == 0) continue;
    memory.add({sim::to_string(static_cast<sim::MemoryPurpose>(i)),
                sim::three_digits(static_cast<double>(part.count) / (1 << 20))});
  }
  std::string text = "\n" + memory.text();
  if (result.out_of_memory) return text;
  const sim::PathShares shares = sim::path_shares(result);
  const auto percent = [](double share) { return sim::three_digits(100 * share); };
  sim::TextTable path({"critical path", "% of time"});
  path.add({"compute", percent(shares.compute)});
  if (shares.cpu > 0) path.add({"CPU experts", percent(shares.cpu)});
  path.add({"transfer", percent(shares.transfer)});
  path.add({"host", percent(shares.host)});
  path.add({"waiting", percent(shares.waiting)});
  const sim::Limits limits = sim::limits_of(result);
  sim::TextTable bounds({"bound by", "% of time"});
  for (int i = 0; i < sim::limit_count; ++i) {
    const double share = limits.share[static_cast<std::size_t>(i)];
    if (share > 0) bounds.add({sim::to_string(static_cast<sim::Limit>(i)), percent(share)});
  }
  sim::TextTable streams({"stream", "% busy"});
  // Of several hosts the first one stands for the others, which may be dozens.
  for (std::size_t i = 0; i < std::min(result.tally.busy.size(), sim::most_streams); ++i) {
    const Picoseconds busy = result.tally.busy[i];
    if (busy.count == 0) continue;
    streams.add({result.topology.platform.streams[i].name, percent(sim::busy_share(result, busy))});
  }
  return text + "\n" + path.text() + "\n" + bounds.text() + "\n" + streams.text();
}

}  // namespace

ExitCode simulate(const Arguments& arguments) {
  po::options_description options = run_options();
  options.add_options()  //
      ("policy", po::value<std::string>()->default_value("pre-gated"),
       "one policy (pregate list policies)")  //
      ("timeline", po::value<std::string>(),
       "write a Chrome/Perfetto trace of the first steps to this file")  //
      ("schedule", po::value<std::string>(),
       "write the schedule of the first steps, with its times, as JSON")                             //
      ("request-log", po::value<std::string>(), "write each request's times as CSV to this file")    //
      ("record-steps", po::value<std::string>(), "steps in --timeline and --schedule (default 16)")  //
      ("timeline-steps", po::value<std::string>(),
       "steps in --timeline, of a long run: the first, from 0, and the one after the last, e.g. 100:116")  //
      ("sensitivity", po::bool_switch(),
       "how tokens/s follow each number of the machine: d tokens/s / d ln of it");
  const Parsed parsed = parse(
      "pregate simulate [--trace FILE] [--model NAME] [--machine NAME] [--policy NAME] [--timeline FILE]",
      options, arguments);
  if (parsed.help) return 0;
  Run run = resolve(parsed, parsed.text("policy"));
  if (run.policies.size() != 1) {
    throw InputError("--policy", "simulate runs one policy", "pregate compare runs several side by side");
  }
  if (parsed.has("schedule") && run.options.serving.depends_on_time(run.configuration.trace)) {
    throw InputError("--schedule", "it says what waits for what, and not until when requests arrive",
                     "--timeline has the times, --request-log those of requests");
  }
  const bool records = parsed.has("timeline") || parsed.has("schedule");
  if (!records && parsed.has("record-steps")) {
    throw InputError("--record-steps", "there is nothing to record to",
                     "give --timeline or --schedule as well");
  }
  if (parsed.has("timeline-steps") && (!parsed.has("timeline") || parsed.has("schedule"))) {
    throw InputError("--timeline-steps", "a window is of a timeline; a schedule begins with the run",
                     "give --timeline, and for --schedule --record-steps");
  }
  if (records) set_recorded_steps(parsed, run);
  run.options.keeps_requests = parsed.has("request-log");
  std::vector<sim::SimulationResult> results = run_policies(run);
  note_without_effect(parsed, run, results);
  if (parsed.flag("sensitivity")) results.front().sensitivities = sensitivities_of(run, results.front());
  const sim::SimulationResult& result = results.front();
  std::vector<TextFile> files;
  std::string recorded;
  if (records && result.out_of_memory) {
    recorded = "\nno timeline or schedule: the policy does not fit\n";
  } else if (records) {
    if (parsed.has("timeline")) {
      files.push_back({parsed.text("timeline"), sim::perfetto_json(result, run.configuration)});
    }
    if (parsed.has("schedule"))
      files.push_back({parsed.text("schedule"), sim::to_json(result.schedule, &result.timeline)});
    const std::int64_t recorded_steps = std::clamp<std::int64_t>(
        result.steps - run.options.first_recorded_step, 0, run.options.recorded_steps);
    recorded = "\nrecorded " + std::to_string(recorded_steps) + " of " + std::to_string(result.steps) +
               " steps, " + std::to_string(result.schedule.size()) + " operations\n";
    if (parsed.has("timeline"))
      recorded += "timeline: open " + parsed.text("timeline") + " in https://ui.perfetto.dev\n";
  }
  if (parsed.has("request-log"))
    files.push_back({parsed.text("request-log"), sim::requests_csv(result.request_records)});
  const sim::Confidences confidences = confidences_in(run, results);
  write_outputs(parsed, run, results, confidences, files);
  const Channel channel = people(parsed);
  const sim::TextLayout layout = text_layout(channel, parsed.flag("wide"));
  show(channel, sim::results_table(run.configuration, results, layout, confidences) + details(result) +
                    sensitivity_table(result) + sim::folded(recorded, layout));
  return 0;
}

}  // namespace pregate::cli
