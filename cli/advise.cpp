// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/advise/advice.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <tuple>

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

/// Cards are sold in GB and have as many GiB.
double budget_gib(const Parsed& parsed) {
  const std::string text = parsed.text("budget-vram");
  const Bytes size = parse_bytes(text, "--budget-vram");
  return static_cast<double>(size.count) / (text.ends_with("GB") ? 1e9 : static_cast<double>(1LL << 30));
}

std::vector<std::string> machines_asked(const Parsed& parsed) {
  if (parsed.has("machine")) {
    if (parsed.has("budget-vram"))
      throw InputError("--budget-vram", "cannot be combined with --machine",
                       "it chooses from the catalogue's machines");
    return split_list(parsed.text("machine"), "--machine");
  }
  if (!parsed.has("want") && !parsed.has("budget-vram"))
    throw InputError(
        "--machine", "is missing",
        "name a machine (pregate list machines), several separated by commas, or what is wanted: --want "
        "40tok/s, --budget-vram 24GB");
  const double most = parsed.has("budget-vram") ? budget_gib(parsed) : 1e9;
  std::vector<std::tuple<double, double, std::string>> sorted;
  for (const std::string& name : machine_names()) {
    const MachineSpec machine = load_machine(name);
    if (machine.calibration != "datasheet") continue;  // of one laboratory's software
    const double gib = static_cast<double>(machine.gpu.memory.count) / (1LL << 30);
    if (gib <= most) sorted.emplace_back(gib, machine.gpu.memory_bandwidth.value, name);
  }
  if (sorted.empty())
    throw InputError("--budget-vram", "no machine of the catalogue has as little GPU memory",
                     "pregate list machines");
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> names;
  names.reserve(sorted.size());
  for (const auto& [memory, rate, name] : sorted) names.push_back(name);
  return names;
}

/// The user's options about model, routing and host, for a run of a software and format.
class Question {
 public:
  explicit Question(const Parsed& parsed) : parsed_(parsed) {
    for (const std::string& text : parsed.texts("set")) set_.push_back(parse_override(text));
  }

  /// Resolved once for each software and format.
  Run run_of(const Way& way, const std::string& machine) {
    const auto key = std::make_pair(way.software, way.weights);
    auto place = runs_.find(key);
    if (place == runs_.end()) place = runs_.emplace(key, resolve(asked(way), "on-demand")).first;
    Run run = place->second;
    set_machine(way, machine, run);
    return run;
  }

 private:
  Parsed asked(const Way& way) const {
    Arguments arguments;
    const auto pass = [&](const char* option, const std::string& value) {
      if (value.empty()) return;
      arguments.push_back("--" + std::string(option));
      arguments.push_back(value);
    };
    for (const char* option :
         {"model", "trace", "locality", "prompt", "output", "requests", "seed", "batch", "dense-weights"})
      pass(option, parsed_.text(option));
    pass("weights", way.weights.empty() ? parsed_.text("weights") : way.weights);
    pass("software", way.software);
    for (const std::string& text : parsed_.texts("set")) pass("set", text);
    return parse("", run_options(), arguments);
  }

  /// InputError where the machine's file says itself what its software costs and the way is of another.
  void set_machine(const Way& way, const std::string& name, Run& run) const {
    sim::RunConfiguration& configuration = run.configuration;
    configuration.machine = load_machine(name, set_, parsed_.text("host"));
    const MachineSpec& machine = configuration.machine;
    const bool says_itself = machine.software.empty() || machine.calibration != "datasheet";
    if (says_itself && !way.software.empty() && way.software != machine.software) {
      throw InputError("", "the file of the machine says what its software costs" +
                               (machine.software.empty() ? "" : ", which is " + machine.software));
    }
    if (says_itself) {
      configuration.software.reset();
    } else if (!way.software.empty()) {
      configuration.machine = load_machine(name, set_, parsed_.text("host"), way.software);
    }
    const std::vector<std::string> catalogue = machine_names();
    run.is_catalogue_machine = std::find(catalogue.begin(), catalogue.end(), name) != catalogue.end();
  }

  const Parsed& parsed_;
  std::vector<Override> set_;
  std::map<std::pair<std::string, std::string>, Run> runs_;
};

/// What is tried at once: a way on a machine, changed or not.
struct Trial {
  Way way;
  std::optional<Run> run;
  std::string left_out;  ///< why there is none
};

Trial trial_of(const Way& way, const std::string& machine, Question& question) {
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

std::vector<Upgraded> try_upgrades(const std::vector<Way>& all, Question& question,
                                   const std::string& machine, const std::string& model, int threads) {
  std::vector<Upgraded> upgraded;
  if (all.empty()) return upgraded;
  const std::vector<Upgrade>& changes = upgrades(question.run_of({}, machine).configuration.machine);
  std::vector<Trial> trials;
  for (const Upgrade& upgrade : changes) {
    for (const Way& way : all) {
      Trial trial = trial_of(way, machine, question);
      if (trial.run) {
        upgrade.change(trial.run->configuration.machine);
        trial.run->machine_changed = true;
      }
      trials.push_back(std::move(trial));
    }
  }
  const std::vector<Tried> tried = try_all(std::move(trials), model, threads);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto first = tried.begin() + static_cast<std::ptrdiff_t>(i * all.size());
    const std::vector<Tried> of_this(first, first + static_cast<std::ptrdiff_t>(all.size()));
    const Tried* best = fastest(of_this, true);
    upgraded.push_back({changes[i].name, best != nullptr ? *best : of_this.front()});
  }
  return upgraded;
}

po::options_description advise_options() {
  po::options_description options("What is to run");
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()                                                                                 //
      ("model", text(), "catalogue name, .toml, config.json or its folder, .gguf")                      //
      ("machine", text(), "catalogue name or .toml; several, cheapest first, separated by commas")      //
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

}  // namespace

ExitCode advise(const Arguments& arguments) {
  const Parsed parsed = parse(
      "pregate advise --model NAME --machine NAME[,NAME...] [--prompt N] [--output N]\n"
      "       pregate advise --model NAME --want 40tok/s [--budget-vram 16GB]",
      advise_options(), arguments);
  if (parsed.help) return 0;
  check_outputs(parsed);
  if (!parsed.has("model") && !parsed.has("trace"))
    throw InputError("--model", "is missing", "name the model that is to run (pregate list models)");
  const double wanted = wanted_rate(parsed);
  const std::vector<std::string> machines = machines_asked(parsed);
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const int threads = static_cast<int>(parsed.integer("threads", cores, 1, 1024));

  Question question(parsed);
  const Run usual = question.run_of({}, machines.front());
  const ModelSpec& model = usual.configuration.model;
  const std::string model_name = parsed.has("model") ? parsed.text("model") : model.name;
  std::vector<Way> all = ways(model, !parsed.has("weights"));
  const bool one = machines.size() == 1 && parsed.has("machine");
  std::vector<Way> runnable = all;
  std::erase_if(runnable, [](const Way& way) { return way.command == nullptr; });
  if (!one) all = runnable;

  std::vector<Trial> trials;
  for (const std::string& machine : machines)
    for (const Way& way : all) trials.push_back(trial_of(way, machine, question));
  const std::vector<Tried> tried = try_all(std::move(trials), model_name, threads);
  std::vector<Advice> advice;
  for (std::size_t i = 0; i < machines.size(); ++i) {
    const auto first = tried.begin() + static_cast<std::ptrdiff_t>(i * all.size());
    advice.push_back({question.run_of({}, machines[i]).configuration,
                      model_name,
                      machines[i],
                      {first, first + static_cast<std::ptrdiff_t>(all.size())},
                      {}});
  }
  for (Advice& each : advice) {
    const MachineSpec& machine = each.configuration.machine;
    if (machine.gpu.count * machine.network.hosts > 1)
      each.configuration.notes.emplace_back(
          "one of the machine's GPUs is advised on; what splits a model over several is not tried");
    if (model.stacks.size() > 1)
      each.configuration.notes.emplace_back(
          "no software of which the command is known runs a model with an encoder");
  }
  if (one) advice.front().upgraded = try_upgrades(runnable, question, machines.front(), model_name, threads);

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
