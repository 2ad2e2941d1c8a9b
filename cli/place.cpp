// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <optional>

#include "cli/command.hpp"
#include "cli/model_of_trace.hpp"
#include "cli/outputs.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "runtime/integer_program/open_solver.hpp"
#include "sim/expert_placement/homes_file.hpp"
#include "sim/expert_placement/placement_kinds.hpp"
#include "sim/expert_placement/quality.hpp"
#include "sim/expert_placement/rebalancing.hpp"
#include "sim/report/text_table.hpp"
#include "sim/workload/profile.hpp"
#include "traces/output_file.hpp"
#include "traces/reader.hpp"

namespace pregate::cli {

namespace {

constexpr const char* first_half = "first-half";
constexpr std::int64_t most_redundant = 1024;

/// What is learned from, and what is judged on.
struct Halves {
  std::unique_ptr<trace::StepSource> file, batched, other;
  trace::StepSource* judged = nullptr;
  trace::StepSource* learned = nullptr;
  sim::StepSpan judge, learn;
};

Halves open_halves(const Parsed& parsed) {
  Halves halves;
  halves.file = trace::open_trace(parsed.text("trace"));
  const auto batch = static_cast<int>(parsed.integer("batch", 1, 1, 4096));
  if (batch > 1) halves.batched = trace::compose_batches(*halves.file, batch);
  halves.judged = batch > 1 ? halves.batched.get() : halves.file.get();
  const std::string fit_on = parsed.text("fit-on");
  if (fit_on != first_half) {
    halves.other = sim::open_profile(fit_on, sim::ExpertMap(halves.file->info()), "--fit-on");
    halves.learned = halves.other.get();
    if (halves.other->info().content_hash == halves.file->info().content_hash) {
      throw InputError("--fit-on", printable(fit_on, 200) + " holds the routing that is to be judged on",
                       "leave it out: then one half is learned from and the other judged on");
    }
    return halves;
  }
  halves.learned = halves.judged;
  trace::Step step;
  std::int64_t steps = 0;
  while (halves.judged->next(step)) ++steps;
  if (steps < 2) {
    throw InputError(parsed.text("trace"), "has too few steps to learn from one half and judge on the other",
                     "learn from another trace of the model: --fit-on OTHER.db");
  }
  halves.learn = {0, steps / 2};
  halves.judge = {steps / 2, steps};
  return halves;
}

std::string in_percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", 100 * share);
  return text;
}

std::vector<std::string> row(const std::string& name, const sim::PlacementQuality& quality) {
  char gpus[32];
  std::snprintf(gpus, sizeof gpus, "%.2f", quality.gpus_a_token);
  return {name,
          in_percent(quality.crossings),
          gpus,
          in_percent(quality.mean_max_load),
          in_percent(quality.max_load),
          in_percent(quality.slowest_share)};
}

std::string size_text(Bytes bytes) {
  return sim::three_digits(static_cast<double>(bytes.count) / (1 << 30)) + " GiB";
}

sim::AffinityMethod affinity_method(const std::string& name) {
  if (name == "exact") return sim::AffinityMethod::states;
  if (name == "integer-program") return sim::AffinityMethod::integer_program;
  if (name == "local-search") return sim::AffinityMethod::local_search;
  throw InputError("--affinity", "'" + printable(name) + "' is not a method",
                   "valid: exact, integer-program, local-search");
}

/// Every kind on what was learned, judged on the rest; and how replicas do that are placed again and again.
class Comparison {
 public:
  Comparison(const Parsed& parsed, const Halves& halves, const sim::ExpertMap& map)
      : halves_(halves), map_(map) {
    request_.gpus = static_cast<int>(parsed.integer("gpus", 0, 1, sim::max_expert_gpus));
    request_.redundant = static_cast<int>(parsed.integer("redundant", request_.gpus, 0, most_redundant));
    if (parsed.has("affinity")) request_.affinity = affinity_method(parsed.text("affinity"));
    request_.seed = static_cast<std::uint64_t>(parsed.integer("seed", 1, 0, std::int64_t{1} << 62));
    every_ = parsed.integer("rebalance-every", 0, 1, std::int64_t{1} << 40);
  }

  /// InputError when the kind that is wanted cannot be had.
  void run(const sim::PlacementKind& wanted, const std::string& learned_from) {
    const sim::RoutingStatistics statistics = sim::measure_routing(
        *halves_.learned, sim::ExpertMap(halves_.learned->info()), halves_.learn, learned_from);
    const runtime::OpenSolver solver = runtime::open_cbc();
    request_.solve = solver.solve;
    learned_ =
        std::to_string(statistics.tokens) + " tokens in " + std::to_string(statistics.steps) + " steps";
    for (const sim::PlacementKind& kind : sim::placement_kinds()) {
      if (kind.needs_solver && !request_.solve) {
        if (kind.name == wanted.name) throw InputError("--kind " + kind.name, solver.problem, solver.hint);
        notes_ += "  " + kind.name + ": " + solver.problem + "\n";
        table_.add({kind.name, "-", "-", "-", "-", "-"});
        continue;
      }
      sim::PlacedExperts placed = sim::place_experts(kind, map_, statistics, request_);
      const sim::PlacementQuality quality = sim::judge(*halves_.judged, map_, halves_.judge, placed.homes);
      table_.add(row(kind.name, quality));
      if (!placed.how.empty()) notes_ += "  " + kind.name + ": " + placed.how + "\n";
      if (kind.name == "replicated") rebalance(placed.homes);
      if (kind.name == wanted.name) wanted_ = std::move(placed.homes);
    }
  }

  [[nodiscard]] std::string text() const {
    return "Experts over " + std::to_string(request_.gpus) + " GPUs, learned from " + learned_ +
           "; judged on the others (%):\n" + table_.text() + (notes_.empty() ? "" : "\n" + notes_);
  }
  [[nodiscard]] const sim::ExpertHomes& wanted() const { return wanted_; }

 private:
  void rebalance(const sim::ExpertHomes& start) {
    notes_ += "  replicated: " + std::to_string(request_.redundant) + " copies a layer\n";
    if (every_ == 0) return;
    const sim::RebalancedRun run = sim::run_rebalancing(
        *halves_.judged, map_, halves_.judge, start,
        {.gpus = request_.gpus, .redundant = request_.redundant, .every = every_, .window = every_});
    table_.add(row("  anew every " + std::to_string(every_), run.quality));
    notes_ += "  placed anew " + std::to_string(run.rebalancings) + " times: " + std::to_string(run.copies) +
              " experts copied to GPUs that did not hold them";
    // Where neither trace nor model says how large an expert is it counts as one byte.
    if (run.bytes.count > run.copies) notes_ += ", " + size_text(run.bytes);
    notes_ += "\n";
  }

  const Halves& halves_;
  const sim::ExpertMap& map_;
  sim::PlacementRequest request_;
  std::int64_t every_ = 0;
  sim::TextTable table_{{"placement", "crossings", "GPUs/token", "mean max load", "max load", "slowest"}};
  std::string learned_, notes_;
  sim::ExpertHomes wanted_;
};

constexpr const char* explanation =
    "\ncrossings: pairs of a token's experts in consecutive MoE layers that are on different GPUs. "
    "GPUs/token: GPUs that\n"
    "a token's experts of a layer are on. max load: the busiest GPU's share of a batch's tokens in a layer, "
    "mean and\n"
    "largest. slowest: its share of all tokens, 1 / GPUs at best. (docs/placement-over-gpus.md)\n";

}  // namespace

ExitCode place(const Arguments& arguments) {
  po::options_description options("Options");
  const auto text = [] { return po::value<std::string>(); };
  std::string kinds;
  for (const sim::PlacementKind& kind : sim::placement_kinds())
    kinds += (kinds.empty() ? "" : ", ") + kind.name;
  options.add_options()                                                                      //
      ("trace", text(), "trace database")                                                    //
      ("gpus", text(), "GPUs that share the experts of every MoE layer")                     //
      ("kind", text()->default_value("affinity"), ("placement to write: " + kinds).c_str())  //
      ("model", text(),
       "check that the trace is this model's, and take its expert sizes; a name or a file")  //
      ("fit-on", text()->default_value(first_half),
       "learn from the first half of the steps and judge on the second, or learn from this trace of the "
       "model")                                                                                        //
      ("batch", text(), "join this many requests into lock-step batches (default 1)")                  //
      ("redundant", text(), "replicated: copies beyond the experts of a layer (default: one a GPU)")   //
      ("rebalance-every", text(), "replicated: also place anew after every N steps, by the N before")  //
      ("affinity", text(),
       "affinity: exact, integer-program or local-search (default: exact where that is quick)")  //
      ("seed", text(), "seed of local search (default 1)")                                       //
      ("output,o", text(), "write the placement to this file (JSON)")                            //
      ("overwrite", po::bool_switch(), "replace the output when it exists");
  const Parsed parsed =
      parse("pregate place TRACE.db --gpus N [--kind K] [--fit-on OTHER.db] [-o PLACEMENT.json]", options,
            arguments, "trace", 1);
  if (parsed.help) return 0;
  if (!parsed.has("trace"))
    throw InputError("pregate place", "no trace given", "usage: pregate place TRACE.db --gpus N");
  if (!parsed.has("gpus")) throw InputError("--gpus", "not given", "over how many GPUs? e.g. --gpus 4");
  const sim::PlacementKind& wanted = sim::placement_kind(parsed.text("kind"), "--kind");
  if (parsed.flag("overwrite") && !parsed.has("output"))
    throw InputError("--overwrite", "has no effect without a file to write", "name it: -o PLACEMENT.json");
  const std::string output = parsed.text("output");
  if (parsed.has("output")) {
    for (const char* input : {"trace", "fit-on", "model"})
      if (parsed.has(input)) refuse_overwriting(parsed.text(input), output);
    trace::OutputFile(output, parsed.flag("overwrite"));  // made and taken away again
  }
  const Halves halves = open_halves(parsed);
  const trace::TraceInfo& info = halves.judged->info();
  std::optional<sim::ExpertMap> map;
  if (parsed.has("model")) {
    const ModelSpec model = load_model(parsed.text("model"));
    check_model_fits(info, model, "--model");
    map.emplace(info, model, "--model");
  } else {
    map.emplace(info);
  }
  Comparison comparison(parsed, halves, *map);
  const bool from_itself = parsed.text("fit-on") == first_half;
  comparison.run(wanted, from_itself ? parsed.text("trace") : "--fit-on");
  std::string written;
  if (parsed.has("output")) {
    const std::string text_of_file = sim::homes_json(
        comparison.wanted(), info,
        {.kind = wanted.name, .model = info.model, .trace = halves.learned->info().content_hash});
    write_files({{output, text_of_file}});
    written = output + ": " + wanted.name + "\n";
  }
  print(comparison.text() + explanation + written);
  return 0;
}

}  // namespace pregate::cli
