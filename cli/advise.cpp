// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/advise/advice.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>

#include "cli/advise/asked.hpp"
#include "cli/in_threads.hpp"
#include "cli/progress.hpp"
#include "cli/report/compare_page.hpp"
#include "cli/run.hpp"
#include "models/error.hpp"

namespace pregate::cli {

namespace {

double wanted_rate(const Parsed& parsed) {
  if (!parsed.has("want")) return 0;
  std::string text = parsed.text("want");
  for (const char* unit : {"tokens/s", "tok/s", "t/s", "/s"}) {
    if (!text.ends_with(unit)) continue;
    text.resize(text.size() - std::string(unit).size());
    break;
  }
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  while (*end == ' ') ++end;
  if (end == text.c_str() || *end != '\0' || !std::isfinite(value) || value <= 0)
    throw InputError("--want", "'" + printable(parsed.text("want")) + "' is not a rate",
                     "for example 40tok/s");
  return value;
}

/// What is tried at once: a way on a machine, changed or not.
struct Trial {
  Way way;
  std::optional<Run> run;
  std::string left_out;  ///< why there is none
};

Trial trial_of(const Way& way, const MachineAsked& machine, Question& question) {
  try {
    return {way, question.run_of(way, machine), {}};
  } catch (const InputError& error) {
    return {way, std::nullopt, error.what()};
  }
}

std::vector<Tried> try_all(std::vector<Trial> trials, const std::string& model, int threads) {
  std::vector<Tried> tried(trials.size());
  Progress progress(trials.size());
  const auto faults = in_threads(trials.size(), threads, [&](std::size_t i) {
    tried[i] = trials[i].run ? try_way(trials[i].way, std::move(*trials[i].run), model)
                             : left_out(trials[i].way, trials[i].left_out);
    progress.report(i, 1, 1);
  });
  progress.clear();
  for (const std::exception_ptr& fault : faults)
    if (fault) std::rethrow_exception(fault);
  return tried;
}

/// With more GPUs also the ways over them, of software that is tried on those that are there: otherwise what
/// another software brings would seem to be the GPUs'.
std::vector<Way> ways_with(const Upgrade& upgrade, const std::vector<Way>& now, const ModelSpec& model,
                           WaysAsked asked) {
  if (upgrade.gpus == 0) return now;
  std::set<std::string> software;
  for (const Way& way : now) software.insert(way.software);
  asked.gpus = upgrade.gpus;
  std::vector<Way> all = ways(model, asked);
  std::erase_if(all,
                [&](const Way& way) { return way.command == nullptr || !software.contains(way.software); });
  return all;
}

std::vector<Upgraded> try_upgrades(const std::vector<Way>& now, Question& question,
                                   const MachineAsked& machine, const WaysAsked& asked,
                                   const std::string& model_name, int threads) {
  std::vector<Upgraded> upgraded;
  if (now.empty()) return upgraded;
  const Run usual = question.run_of({}, machine);
  const std::vector<Upgrade> changes = upgrades(usual.configuration.machine);
  std::vector<Trial> trials;
  std::vector<std::size_t> ends;  // of the trials of each
  for (const Upgrade& upgrade : changes) {
    MachineAsked changed = machine;
    if (upgrade.gpus > 0) changed.gpus = upgrade.gpus;
    for (const Way& way : ways_with(upgrade, now, usual.configuration.model, asked)) {
      Trial trial = trial_of(way, changed, question);
      if (trial.run && upgrade.change != nullptr) {
        upgrade.change(trial.run->configuration.machine);
        trial.run->machine_changed = true;
      }
      trials.push_back(std::move(trial));
    }
    ends.push_back(trials.size());
  }
  const std::vector<Tried> tried = try_all(std::move(trials), model_name, threads);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < changes.size(); begin = ends[i++]) {
    const std::vector<Tried> of_this(tried.begin() + static_cast<std::ptrdiff_t>(begin),
                                     tried.begin() + static_cast<std::ptrdiff_t>(ends[i]));
    const Tried* best = fastest(of_this, true);
    upgraded.push_back({changes[i].name, best != nullptr ? *best : of_this.front()});
  }
  return upgraded;
}

po::options_description advise_options() {
  po::options_description options("What is to run");
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()                                                             //
      ("model", text(), "catalogue name, .toml, config.json or its folder, .gguf")  //
      ("machine", text(),
       "catalogue name or .toml; several, cheapest first, separated by commas; 2xNAME: two of it")      //
      ("gpus", text(), "GPUs alike that each machine has (default: as its file says)")                  //
      ("host", text(), "host in place of the machine's own: name (pregate list hosts) or .toml")        //
      ("want", text(), "tokens/s while it answers, e.g. 40tok/s: the first machine that reaches them")  //
      ("budget-vram", text(), "machines of the catalogue with at most this GPU memory, e.g. 16GB")      //
      ("weights", text(), "weight format of the routed experts; default: the model's own, and q4_k_m")  //
      ("dense-weights", text(), "weight format of everything else; default: the model's own")           //
      ("prompt", text(), "tokens of the prompt (default 512)")                                          //
      ("output", text(), "tokens of the answer (default 128)")                                          //
      ("batch", text(), "requests at a time (default 1)")                                               //
      ("trace", text(), "recorded routing in place of generated")                                       //
      ("locality", text(), "of generated routing: low, typical, high or a .toml (default typical)")     //
      ("requests", text(), "requests to generate (default: as many as --batch)")                        //
      ("seed", text(), "seed of the generator (default 1)")                                             //
      ("set", po::value<std::vector<std::string>>()->composing(),
       "override: machine.…, model.…; repeatable")                                     //
      ("threads", text(), "settings tried at once (default: the machine's cores)")     //
      ("json", text(), "write the advice as JSON to this file; - is standard output")  //
      ("report", text(), "write a page with charts and all figures to this .html");
  return options;
}

/// `asked`: the machine as its file has it.
void add_notes(const MachineSpec& asked, Advice& advice) {
  std::vector<std::string>& notes = advice.configuration.notes;
  const MachineSpec& machine = advice.configuration.machine;
  if (asked.network.hosts > 1)
    notes.emplace_back(
        "one of the machine's hosts is advised on; what splits a model over several is not tried");
  if (gpus_of_host(machine) > 1) {
    notes.emplace_back(
        "each GPU is taken to have links to the host as wide as the machine's file says: on a board that "
        "shares them out, --set machine.link.h2d.bandwidth and d2h say what is left");
    notes.emplace_back(
        machine.peer.bandwidth.value > 0
            ? "between the GPUs is a link of " + to_string(machine.peer.bandwidth) + " (machine.link.peer)"
            : "the GPUs reach each other through the host's memory: the file has no link between "
              "them (machine.link.peer)");
  }
  if (advice.configuration.model.stacks.size() > 1)
    notes.emplace_back("no software of which the command is known runs a model with an encoder");
}

}  // namespace

ExitCode advise(const Arguments& arguments) {
  const Parsed parsed = parse(
      "pregate advise --model NAME --machine NAME[,2xNAME...] [--gpus N] [--prompt N] [--output N]\n"
      "       pregate advise --model NAME --want 40tok/s [--budget-vram 16GB]",
      advise_options(), arguments);
  if (parsed.help) return 0;
  check_outputs(parsed);
  if (!parsed.has("model") && !parsed.has("trace"))
    throw InputError("--model", "is missing", "name the model that is to run (pregate list models)");
  const double wanted = wanted_rate(parsed);
  const std::vector<MachineAsked> machines = machines_asked(parsed);
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const int threads = static_cast<int>(parsed.integer("threads", cores, 1, 1024));

  Question question(parsed);
  const Run usual = question.run_of({}, machines.front());
  const ModelSpec& model = usual.configuration.model;
  const std::string model_name = parsed.has("model") ? parsed.text("model") : model.name;
  const bool one = machines.size() == 1 && parsed.has("machine");
  WaysAsked asked{.own_format = !parsed.has("weights"), .batch = usual.configuration.batch};

  std::vector<Advice> advice;
  std::vector<Trial> trials;
  std::vector<std::size_t> counts;  // of the ways of each machine
  for (const MachineAsked& machine : machines) {
    advice.push_back({question.run_of({}, machine).configuration, model_name, machine.name, {}, {}});
    asked.gpus = gpus_of_host(advice.back().configuration.machine);
    std::vector<Way> all = ways(model, asked);
    if (!one) std::erase_if(all, [](const Way& way) { return way.command == nullptr; });
    for (const Way& way : all) trials.push_back(trial_of(way, machine, question));
    counts.push_back(all.size());
  }
  const std::vector<Tried> tried = try_all(std::move(trials), model_name, threads);
  auto first = tried.begin();
  for (std::size_t i = 0; i < machines.size(); ++i) {
    advice[i].tried.assign(first, first + static_cast<std::ptrdiff_t>(counts[i]));
    first += static_cast<std::ptrdiff_t>(counts[i]);
    add_notes(load_machine(machines[i].name, {}, parsed.text("host")), advice[i]);
  }
  if (one) {
    std::vector<Way> runnable = ways(model, asked);
    std::erase_if(runnable, [](const Way& way) { return way.command == nullptr; });
    advice.front().upgraded = try_upgrades(runnable, question, machines.front(), asked, model_name, threads);
  }

  std::vector<TextFile> files;
  if (parsed.has("json")) files.push_back({parsed.text("json"), advice_json(advice, wanted)});
  if (parsed.has("report"))
    files.push_back(
        {parsed.text("report"), one ? advice_page(advice.front()) : machines_page(advice, wanted)});
  if (!files.empty()) write_files(files);
  const Channel channel = people(parsed);
  const sim::TextLayout layout = text_layout(channel, false);
  show(channel, one ? advice_text(advice.front(), layout) : machines_text(advice, wanted, layout));
  if (wanted > 0) {
    const Tried* best = nullptr;
    for (const Advice& each : advice) {
      const Tried* of_it = fastest(each.tried, true);
      if (of_it != nullptr && (best == nullptr || of_it->rate() > best->rate())) best = of_it;
    }
    if (best == nullptr || best->rate() < wanted) {
      char rate[32];
      std::snprintf(rate, sizeof rate, "%.1f", best == nullptr ? 0.0 : best->rate());
      throw InputError("--want",
                       "nothing here reaches it; the fastest gives " + std::string(rate) + " tokens/s",
                       "a narrower format (--weights), another machine, or a smaller model");
    }
  }
  return 0;
}

}  // namespace pregate::cli
