// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/execute.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "cli/device_options.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/terminal.hpp"
#include "cli/without_effect.hpp"
#include "models/error.hpp"
#include "runtime/execute.hpp"
#include "sim/report/text_table.hpp"
#include "validation/calibration/calibrate.hpp"

namespace pregate::cli {

namespace {

/// What is done of a run of several policies over the same passes. Says once how long it will take, as soon
/// as the first passes show it, where that is long; and the share done, on a terminal.
class PassReport {
 public:
  /// Each of the `requests` begins with a long pass, a prefill; the first pass stands for them.
  PassReport(std::size_t policies, std::int64_t passes, std::int64_t requests)
      : policies_(policies), passes_(passes), requests_(std::clamp<std::int64_t>(requests, 1, passes)) {}

  void begin(const std::string& policy) {
    policy_ = policy;
    done_ = 0;
    shown_ = -1;
    began_ = Clock::now();
    report_stage("executing " + policy_ + ": making weights");
  }
  void end() { ++policies_done_; }
  /// To be called before each pass.
  void next() {
    if (done_ == 0) first_pass_ = Clock::now();
    if (done_ == 1) second_pass_ = Clock::now();
    if (!estimated_ && done_ > 1 && seconds_between(first_pass_, Clock::now()) > 1) estimate();
    const std::int64_t percent = passes_ > 0 ? 100 * done_++ / passes_ : 0;
    if (std::exchange(shown_, percent) != percent)
      report_stage("executing " + policy_ + " " + std::to_string(percent) + " %");
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds_between(Clock::time_point begin, Clock::time_point end) {
    return std::chrono::duration<double>(end - begin).count();
  }
  void estimate() {
    estimated_ = true;
    const double first = seconds_between(first_pass_, second_pass_);
    const double later = seconds_between(second_pass_, Clock::now()) / static_cast<double>(done_ - 1);
    const double each = seconds_between(began_, first_pass_) + first * static_cast<double>(requests_) +
                        later * static_cast<double>(passes_ - requests_);
    const double all = each * static_cast<double>(policies_ - policies_done_);
    constexpr double long_run = 10;
    if (all < long_run || Silence::living > 0) return;
    report_stage("");
    show(Channel::error, "about " + duration(all) + ": " + std::to_string(policies_) +
                             (policies_ == 1 ? " policy" : " policies") + " of " + std::to_string(passes_) +
                             " passes, about " + duration(each) +
                             " each; Ctrl-C ends it with what is measured until then\n");
  }

  std::size_t policies_, policies_done_ = 0;
  std::int64_t passes_, requests_, done_ = 0, shown_ = -1;
  std::string policy_;
  bool estimated_ = false;
  Clock::time_point began_, first_pass_, second_pass_;
};

/// A policy that was not begun any more.
sim::SimulationResult not_begun(const PolicySpec& policy) {
  sim::SimulationResult result;
  result.policy = policy;
  result.evidence = sim::Evidence::measured;
  result.interrupted = true;
  return result;
}

std::string microseconds(double value) { return sim::three_digits(value) + " us"; }

}  // namespace

po::options_description execute_options() {
  po::options_description options = run_options();
  options.add(device_options()).add(attention_option());
  options.add_options()                                                                                  //
      ("policy", po::value<std::string>()->default_value("pre-gated"), "policies, separated by commas")  //
      ("weights-file", po::value<std::vector<std::string>>()->composing(),
       "take the experts' weights from this .safetensors file where it has them; once for each shard")  //
      ("record-steps", po::value<std::string>(), "steps in --timeline and --schedule (default 16)");
  return options;
}

Execution execute_policies(const Parsed& parsed, std::int64_t recorded_steps) {
  const runtime::Attention attention = attention_of(parsed);
  const auto device = open_device(parsed);
  Run run = resolve(parsed, parsed.text("policy"));
  if (!run.options.serving.is_standard())
    throw InputError("--set serve", "a device executes requests in lock step, as the trace has them",
                     "leave serve.* out; pregate simulate has it");
  if (!run.options.parallel.is_one())
    throw InputError("--gpus", "a device executes on one GPU", "leave it out; pregate simulate has it");
  if (recorded_steps > 0 && run.policies.size() != 1)
    throw InputError("--policy", "one timeline or schedule, but several policies", "name one policy");
  if (parsed.values["machine"].defaulted()) {
    run.configuration.machine = validation::unmeasured_machine(*device);
  } else {
    run.configuration.machine.gpu.memory = device->info().memory;
    run.configuration.machine.gpu.reserved = {};
  }
  run.configuration.device = describe(*device);
  if (!run.configuration.prompt_in_chunks) run.configuration.prompt_chunk = 0;
  // Times are measured: what the machine file says of rates touches none of them.
  run.configuration.notes = {"measured on " + describe(*device) +
                             "; rates in the machine's description were not used for any time"};
  run.configuration.notes.insert(run.configuration.notes.end(), run.routing_notes.begin(),
                                 run.routing_notes.end());

  const OpenTrace open = run.open();
  const sim::PreparedTrace prepared(open.source(), run.configuration.model, run.trace_name);
  runtime::ExecuteOptions execute_options;
  execute_options.recorded_steps = recorded_steps;
  execute_options.attention = attention;
  execute_options.experts = store_options(parsed);
  execute_options.marks_step_overhead = run.configuration.machine.overhead.step.count > 0;
  if (!parsed.values["machine"].defaulted()) execute_options.prices = &run.configuration.machine;
  std::optional<runtime::WeightFiles> weights;
  if (parsed.has("weights-file")) {
    if (parsed.has("distinct-experts")) {
      throw InputError("--weights-file", "experts that share buffers cannot have weights of their own",
                       "leave out --distinct-experts");
    }
    weights.emplace(parsed.texts("weights-file"), run.configuration.model, prepared.map());
    execute_options.files = &*weights;
  }
  Execution made;
  {
    const CatchInterrupt guard;
    const std::int64_t batch = run.configuration.batch;
    PassReport report(run.policies.size(), prepared.scan().steps,
                      (run.configuration.trace.requests + batch - 1) / batch);
    execute_options.interrupted = [&report] {
      report.next();
      return interrupts != 0;
    };
    for (const PolicySpec& policy : run.policies) {
      if (made.interrupted || interrupts != 0) {
        made.interrupted = true;
        made.results.push_back(not_begun(policy));
        continue;
      }
      report.begin(policy.name);
      runtime::Execution execution = runtime::execute(*device, run.configuration.model, policy, prepared,
                                                      open.source(), execute_options);
      const std::int64_t operations = execution.result.tally.operations;
      if (operations > 0) {
        made.device_lines +=
            policy.name + ": " + std::to_string(operations) + " operations, the host spent " +
            microseconds(execution.issue_time.seconds() * 1e6 / static_cast<double>(operations)) +
            " to issue one; device memory " + to_string(execution.device_memory) + "\n";
      }
      if (execution.distinct_experts > 0 && execution.distinct_experts < prepared.map().keys()) {
        execution.result.notes.push_back("experts share " + std::to_string(execution.distinct_experts) +
                                         " weight buffers: the same bytes move, outputs differ");
      }
      made.interrupted = execution.was_interrupted;
      if (made.interrupted && execution.result.has_figures())
        execution.result.notes.push_back("interrupted: it ended after " +
                                         std::to_string(execution.result.steps) + " passes");
      made.results.push_back(std::move(execution.result));
      report.end();
    }
  }
  report_stage("");
  note_without_effect_on_device(parsed, run, made.results);
  made.run = std::move(run);
  return made;
}

ExitCode execute(const Arguments& arguments) {
  po::options_description options = execute_options();
  options.add_options()  //
      ("timeline", po::value<std::string>(),
       "write a Chrome/Perfetto trace of the first steps to this file")  //
      ("schedule", po::value<std::string>(),
       "write the schedule of the first steps, with its measured times, as JSON");
  const Parsed parsed = parse(
      "pregate execute [--device host|cuda] [--trace FILE] [--model NAME] [--policy NAME] [--json FILE]",
      options, arguments);
  if (parsed.help) return 0;
  const bool records = parsed.has("timeline") || parsed.has("schedule");
  if (!records && parsed.has("record-steps"))
    throw InputError("--record-steps", "there is nothing to record to",
                     "give --timeline or --schedule as well");
  const auto [run, results, device_lines, interrupted] =
      execute_policies(parsed, records ? parsed.integer("record-steps", 16, 1, 1'000'000) : 0);
  std::vector<TextFile> files;
  const sim::SimulationResult& first = results.front();
  if (records && first.has_figures()) {
    if (parsed.has("timeline"))
      files.push_back({parsed.text("timeline"), sim::perfetto_json(first, run.configuration)});
    if (parsed.has("schedule"))
      files.push_back({parsed.text("schedule"), sim::to_json(first.schedule, &first.timeline)});
  }
  write_outputs(parsed, run, results, {}, files);
  const Channel channel = people(parsed);
  const sim::TextLayout layout = text_layout(channel, parsed.flag("wide"));
  show(channel, sim::results_table(run.configuration, results, layout) + sim::folded(device_lines, layout));
  return interrupted ? 1 : 0;
}

}  // namespace pregate::cli
