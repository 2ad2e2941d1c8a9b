// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/run.hpp"

#include <algorithm>
#include <charconv>
#include <exception>
#include <optional>
#include <thread>
#include <tuple>

#include "cli/routing.hpp"
#include "cli/several_gpus.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "models/fields/member_value.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/policy/policy_kind.hpp"

namespace pregate::cli {

namespace {

/// The flags that are shorthand for --set policy.cache.*; they apply to policies that offload, before a
/// policy is judged as a whole. They are read here too, so that a wrong one is refused whatever the policies.
std::vector<Override> cache_flags(const Parsed& parsed) {
  std::vector<Override> flags;
  const auto add = [&](const char* option, const char* key) {
    flags.push_back({std::string("policy.cache.") + key, parsed.text(option), "--" + std::string(option)});
  };
  if (parsed.has("cache")) {
    std::ignore = parse_capacity(parsed.text("cache"), "--cache");
    add("cache", "capacity");
  }
  if (parsed.has("eviction")) {
    std::ignore = cache::eviction_registry().find(parsed.text("eviction"), "--eviction");
    add("eviction", "eviction");
  }
  if (parsed.has("cache-scope")) {
    std::ignore = parse_choice<CacheScope>(parsed.text("cache-scope"), "--cache-scope");
    add("cache-scope", "scope");
  }
  return flags;
}

std::vector<Override> overrides(const Parsed& parsed) {
  std::vector<Override> all;
  for (const std::string& text : parsed.texts("set")) all.push_back(parse_override(text));
  return all;
}

/// The flags that are shorthand for --set serve.*.
std::vector<Override> serve_flags(const Parsed& parsed, const std::vector<Override>& set) {
  std::vector<Override> flags;
  const auto add = [&](const char* option, const char* key, const std::string& value) {
    flags.push_back({std::string("serve.") + key, value, "--" + std::string(option)});
  };
  if (parsed.has("batcher")) add("batcher", "batcher", parsed.text("batcher"));
  if (parsed.has("arrival-rate")) {
    std::string rate = parsed.text("arrival-rate");
    if (rate.ends_with("/s")) rate.resize(rate.size() - 2);
    add("arrival-rate", "arrivals_per_s", rate);
  }
  if (!parsed.has("batch")) return flags;
  std::vector<Override> all = set;
  all.insert(all.end(), flags.begin(), flags.end());
  std::erase_if(all, [](const Override& each) { return each.path != "serve.batcher"; });
  if (sim::load_serving(all).batcher->parameters.find("max_batch") != nullptr)
    add("batch", "max_batch", parsed.text("batch"));
  return flags;
}

bool changes(const std::vector<Override>& set, std::string_view root) {
  return std::any_of(set.begin(), set.end(),
                     [&](const Override& each) { return each.path.starts_with(root); });
}

}  // namespace

po::options_description scenario_options() {
  po::options_description options = routing_options();
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()                                                                                  //
      ("weights", text(), "weight format of the routed experts, e.g. q4_k_m; default: the model's own")  //
      ("dense-weights", text(), "weight format of everything else; default: the model's own")            //
      ("machine", text()->default_value("a100-80g-pcie4"), "catalogue name or .toml")                    //
      ("host", text(), "host in place of the machine's own: name (pregate list hosts) or .toml")         //
      ("software", text(),
       "what drives it: name (pregate list software) or .toml; default: the policy's, or as the machine's "
       "file "
       "says")                                                                                          //
      ("cache", text(), "expert cache of offloading policies: 4GiB, 25%, '64 slots' (a layer), 0")      //
      ("cache-scope", text(), "layer or global: who shares the capacity")                               //
      ("eviction", text(), "eviction policy (pregate list evictions)")                                  //
      ("batch", text(), "requests at a time: joined into lock-step batches (default 1), or places")     //
      ("batcher", text(), "which requests run together: lock-step, continuous (pregate list serving)")  //
      ("arrival-rate", text(), "continuous: requests that arrive in a second, at random")               //
      ("set", po::value<std::vector<std::string>>()->composing(),
       "override: machine.link.h2d.bandwidth=50GB/s, model.…, policy.…, software.…, serve.…, parallel.…; "
       "repeatable")  //
      ("count-experts", text()->default_value("all"),
       "whose resident experts count as GPU memory: all, decoder")  //
      ("prompt-chunk", text(),
       "most prompt tokens a pass; 0: whole prompts (default: whole, activations of 8192)")  //
      ("engine", text()->default_value("auto"), "auto, timed or event; all give the same times");
  options.add(several_gpus_options());
  return options;
}

po::options_description run_options() {
  po::options_description options = scenario_options();
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()                                                                 //
      ("threads", text(), "policies run at once (default: the machine's cores)")        //
      ("json", text(), "write the results as JSON to this file; - is standard output")  //
      ("csv", text(), "write the results as CSV to this file; - is standard output")    //
      ("store", text(), "append the results to this SQLite database")                   //
      ("wide", po::bool_switch(), "show all columns of the table, however wide");
  return options;
}

namespace {

/// The machine and what drives it: --software, else what all policies name; one run is on one software.
void resolve_machine(const Parsed& parsed, Run& run) {
  sim::RunConfiguration& configuration = run.configuration;
  run.machine_name = parsed.text("machine");
  run.host_name = parsed.text("host");
  run.software = parsed.text("software");
  configuration.machine = load_machine(parsed.text("machine"), run.set, parsed.text("host"), run.software);
  const std::string by_policy = run.policies.front().software;
  const auto agrees = [&](const PolicySpec& policy) { return policy.software == by_policy; };
  const bool all_agree = std::all_of(run.policies.begin(), run.policies.end(), agrees);
  configuration.software_is_default = !parsed.has("software");
  if (configuration.machine.software.empty()) return;  // it says itself what software costs
  if (configuration.machine.calibration != "datasheet") {
    configuration.software =
        load_software(run.software.empty() ? configuration.machine.software : run.software, run.set);
    return;
  }
  if (configuration.software_is_default && !all_agree) {
    configuration.notes.emplace_back("the policies are of different software; all were run on " +
                                     configuration.machine.software +
                                     ", so that they can be compared: --software chooses another");
  }
  if (configuration.software_is_default && all_agree && !by_policy.empty()) {
    run.software = by_policy;
    configuration.software_is_default = false;
    configuration.machine = load_machine(parsed.text("machine"), run.set, parsed.text("host"), run.software);
  }
  configuration.software = load_software(run.software, run.set);
}

PolicySpec load(const std::string& name, const Run& run) {
  PolicySpec policy = load_policy(name, run.set, run.cache_flags);
  std::ignore = cache::eviction_registry().find(policy.cache.eviction, "policy " + name);
  return policy;
}

/// Flags of the cache are for those that have one: a published system without does not get one.
PolicySpec load_as_published(const std::string& name, const Run& run, std::string& without_cache) {
  PolicySpec own = load_policy(name, run.set);
  if (run.cache_flags.empty() || own.placement.kind->keeps_all) return load(name, run);
  if (own.cache.capacity.kind != CapacityKind::none) return load(name, run);
  without_cache += (without_cache.empty() ? "" : ", ") + name;
  return own;
}

void load_all_policies(Run& run) {
  run.configuration.all_policies = true;
  std::exception_ptr first;
  std::string without_cache;
  for (const std::string& name : policy_names()) {
    try {
      if (load_policy(name).parallel.kind == Node::Kind::table) {
        run.configuration.left_out.push_back(
            {name, "says itself how it spreads over several GPUs: name it as the only --policy"});
        continue;
      }
      run.policies.push_back(load_as_published(name, run, without_cache));
    } catch (const InputError& error) {
      if (!first) first = std::current_exception();
      run.configuration.left_out.push_back({name, reason_of(error.what(), name)});
    }
  }
  if (run.policies.empty()) std::rethrow_exception(first);
  if (!without_cache.empty())
    run.configuration.notes.push_back(
        "--cache and the like do not apply to what has no cache of experts on the GPU: " + without_cache);
  std::stable_sort(run.policies.begin(), run.policies.end(),
                   [](const PolicySpec& a, const PolicySpec& b) { return kind_of(a) < kind_of(b); });
  for (const PolicySpec& policy : run.policies) run.policy_names.push_back(policy.name);
}

}  // namespace

Run resolve(const Parsed& parsed, const std::string& policies) {
  Run run;
  check_outputs(parsed);
  run.set = overrides(parsed);
  const std::vector<Override>& set = run.set;
  run.cache_flags = cache_flags(parsed);
  if (policies == "all") {
    load_all_policies(run);
  } else {
    run.policy_names = split_list(policies, "--policy");
    for (const std::string& name : run.policy_names) run.policies.push_back(load(name, run));
  }
  resolve_machine(parsed, run);
  const std::vector<std::string> catalogue = machine_names();
  run.is_catalogue_machine =
      std::find(catalogue.begin(), catalogue.end(), parsed.text("machine")) != catalogue.end();
  run.machine_changed = changes(set, "machine.");
  run.model_changed = changes(set, "model.") || parsed.has("weights") || parsed.has("dense-weights");
  run.serve_flags = serve_flags(parsed, set);
  std::vector<Override> serve = set;
  serve.insert(serve.end(), run.serve_flags.begin(), run.serve_flags.end());
  run.options.serving = sim::load_serving(serve);
  resolve_gpus(parsed, run);
  resolve_routing(parsed, set, run);
  use_usual_batches(run);
  resolve_expert_homes(parsed, run);
  run.routing_notes = run.configuration.notes;
  if (!run.configuration.machine.expert_kernel_table.empty()) {
    run.configuration.notes.emplace_back(
        "expert times come from the machine's measured table, whatever the model");
  }

  const std::string counted = parsed.text("count-experts");
  if (counted != "all" && counted != "decoder") {
    throw InputError("--count-experts", "'" + counted + "' is not a choice", "valid: all, decoder");
  }
  run.options.counted = counted == "all" ? sim::CountedExperts::all : sim::CountedExperts::decoder;
  run.configuration.counted = run.options.counted;
  const std::string engine = parsed.text("engine");
  if (engine != "auto" && engine != "timed" && engine != "event") {
    throw InputError("--engine", "'" + engine + "' is not an engine", "valid: auto, timed, event");
  }
  run.options.engine = engine == "auto"    ? sim::Engine::automatic
                       : engine == "timed" ? sim::Engine::timed
                                           : sim::Engine::event;
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  run.threads = static_cast<int>(parsed.integer("threads", cores, 1, 1024));
  return run;
}

void write_outputs(const Parsed& parsed, const Run& run, const std::vector<sim::SimulationResult>& results,
                   const sim::Confidences& confidences, const std::vector<TextFile>& more) {
  std::vector<TextFile> files;
  if (parsed.has("json"))
    files.push_back({parsed.text("json"), sim::results_json(run.configuration, results, confidences)});
  if (parsed.has("csv"))
    files.push_back({parsed.text("csv"), sim::results_csv(run.configuration, results, confidences)});
  files.insert(files.end(), more.begin(), more.end());
  write_files(files, [&] {
    if (parsed.has("store"))
      sim::store_results(parsed.text("store"), run.configuration, results, confidences);
  });
}

void set_recorded_steps(const Parsed& parsed, Run& run) {
  constexpr std::int64_t most = 1'000'000;
  if (!parsed.has("timeline-steps")) {
    run.options.recorded_steps = parsed.integer("record-steps", 16, 1, most);
    return;
  }
  const std::string given = parsed.text("timeline-steps");
  if (parsed.has("record-steps")) {
    throw InputError("--timeline-steps", "--record-steps says as well how many are recorded",
                     "leave one of them out");
  }
  std::int64_t first = 0, end = 0;
  const char* const last = given.data() + given.size();
  const auto [colon, bad_first] = std::from_chars(given.data(), last, first);
  const bool is_pair = bad_first == std::errc{} && colon != last && *colon == ':';
  const auto [rest, bad_end] =
      is_pair ? std::from_chars(colon + 1, last, end) : std::from_chars(last, last, end);
  if (!is_pair || bad_end != std::errc{} || rest != last || first < 0 || end <= first || end - first > most) {
    throw InputError("--timeline-steps", "'" + printable(given) + "' is no window of at most a million steps",
                     "the first step and the one after the last, e.g. 100:116");
  }
  const std::int64_t steps = run.configuration.trace.steps;
  if (run.configuration.batch == 1 && steps > 0 && first >= steps) {
    throw InputError("--timeline-steps", "the run has " + std::to_string(steps) + " steps",
                     "counted from 0: " + std::to_string(std::max<std::int64_t>(0, steps - 16)) + ":" +
                         std::to_string(steps));
  }
  run.options.first_recorded_step = first;
  run.options.recorded_steps = end - first;
}

std::vector<std::string> split_list(const std::string& text, const std::string& where) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end == begin)
      throw InputError(where, "an empty name in '" + text + "'", "names are separated by single commas");
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace pregate::cli
