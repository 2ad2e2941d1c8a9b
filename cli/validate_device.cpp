// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>

#include "cli/device_options.hpp"
#include "cli/run.hpp"
#include "models/error.hpp"
#include "sim/serve/prompt_chunks.hpp"
#include "traces/reader.hpp"
#include "validation/calibration/ladder_report.hpp"

namespace pregate::cli {

namespace {

std::vector<int> batches_of(const std::string& text) {
  std::vector<int> batches;
  for (const std::string& part : split_list(text, "--batches")) {
    if (part.size() > 4 || part.find_first_not_of("0123456789") != std::string::npos || std::stoi(part) < 1)
      throw InputError("--batches", "'" + printable(part) + "' is not a batch size", "for example 1,4");
    batches.push_back(std::stoi(part));
  }
  return batches;
}

/// The first passes of the trace, in batches and, where prompts are cut, chunks.
struct Workload {
  OpenTrace open;
  std::unique_ptr<trace::StepSource> batched, chunked, limited;
};

}  // namespace

ExitCode validate_device(const Arguments& arguments) {
  po::options_description options = run_options();
  options.add(device_options()).add(attention_option());
  options.add_options()  //
      ("policy", po::value<std::string>()->default_value("gpu-only,on-demand,prefetch-all,pre-gated"),
       "policies, separated by commas")  //
      ("caches", po::value<std::string>()->default_value("0"),
       "cache sizes of the policies that offload, separated by commas: 0,25%,50%")                   //
      ("batches", po::value<std::string>()->default_value("1"), "batch sizes, separated by commas")  //
      ("steps", po::value<std::string>(), "passes of the trace that are run (default 48)")           //
      ("repeats", po::value<std::string>(), "executions of each configuration (default 6)")          //
      ("max-tokens", po::value<std::string>(), "largest pass of the primitives (default 64)")        //
      ("report", po::value<std::string>(), "write an HTML page with pictures to this file");
  const Parsed parsed = parse(
      "pregate validate --machine FILE [--device host|cuda] [--trace FILE] [--model NAME] [--policy NAMES]",
      options, arguments);
  if (parsed.help) {
    print(
        "\nExit code: 0 every gate holds, 1 a gate fails or more than half of a tier's rows are undecidable\n"
        "(their repeats differ by more than the gate: nothing is shown on such a machine), 2 bad input.\n");
    return 0;
  }
  if (parsed.values["machine"].defaulted())
    throw InputError("--machine", "not given", "name the file that pregate calibrate wrote on this machine");
  for (const char* option : {"csv", "store", "cache", "batch"}) {
    if (parsed.has(option))
      throw InputError("--" + std::string(option), "is not for validate",
                       "results go to --json and --report; sizes to --caches and --batches");
  }
  const runtime::Attention attention = attention_of(parsed);
  const auto device = open_device(parsed);
  const Run run = resolve(parsed, parsed.text("policy"));
  if (!run.options.serving.is_standard())
    throw InputError("--set serve", "a device executes requests in lock step, as the trace has them",
                     "leave serve.* out; pregate simulate has it");
  if (!run.options.parallel.is_one())
    throw InputError("--gpus", "a device executes on one GPU", "leave it out; pregate simulate has it");
  const ModelSpec& model = run.configuration.model;
  MachineSpec machine = run.configuration.machine;
  machine.gpu.memory = std::min(machine.gpu.memory, device->info().memory);

  const std::int64_t steps = parsed.integer("steps", 48, 1, 1'000'000);
  std::vector<Workload> workloads;
  std::vector<validation::GridPoint> grid;
  for (const int batch : batches_of(parsed.text("batches"))) {
    Workload workload{run.open(), nullptr, nullptr, nullptr};
    trace::StepSource* source = workload.open.reader.get();
    if (batch > 1) {
      workload.batched = trace::compose_batches(*source, batch);
      source = workload.batched.get();
    }
    if (run.configuration.prompt_in_chunks) {
      workload.chunked = sim::cut_prompts(*source, run.configuration.prompt_chunk);
      source = workload.chunked.get();
    }
    workload.limited = trace::first_steps(*source, steps);
    for (const PolicySpec& policy : run.policies) {
      const bool caches = !policy.placement.kind->keeps_all;
      for (const std::string& capacity :
           caches ? split_list(parsed.text("caches"), "--caches") : std::vector<std::string>{"all"}) {
        validation::GridPoint point;
        point.policy = policy;
        point.workload = "batch " + std::to_string(batch);
        if (caches) point.policy.cache.capacity = parse_capacity(capacity, "--caches");
        point.name = policy.name + (caches ? ", cache " + capacity : "") + ", " + point.workload;
        point.source = workload.limited.get();
        grid.push_back(point);
      }
    }
    workloads.push_back(std::move(workload));
  }
  validation::LadderOptions ladder;
  ladder.repeats = static_cast<int>(parsed.integer("repeats", 6, 1, 1000));
  ladder.experts = store_options(parsed);
  ladder.attention = attention;
  ladder.most_tokens = static_cast<int>(parsed.integer("max-tokens", 64, 1, 65'536));
  ladder.progress = report_stage;
  validation::LadderResult result = validation::climb(*device, model, machine, grid, ladder);
  result.trace = run.configuration.trace_path + ", first " + std::to_string(steps) + " passes";
  report_stage("");

  std::vector<TextFile> files;
  if (parsed.has("json")) files.push_back({parsed.text("json"), validation::ladder_json(result)});
  if (parsed.has("report")) files.push_back({parsed.text("report"), validation::ladder_html(result)});
  write_files(files);
  show(people(parsed), validation::ladder_table(result));
  return result.failed() || result.undecided() ? 1 : 0;
}

}  // namespace pregate::cli
