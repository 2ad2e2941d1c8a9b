// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/run.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <map>
#include <thread>
#include <tuple>

#include "cli/progress.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "traces/content_hash.hpp"
#include "traces/output_file.hpp"
#include "traces/reader.hpp"
#include "traces/synthetic.hpp"

namespace pregate::cli {

namespace {

constexpr const char* default_profile = "switch-base-128";

/// The flags that are shorthand for --set policy.cache.*; they apply to policies that offload.
void apply_cache_flags(const Parsed& parsed, PolicySpec& policy) {
  if (policy.placement.kind == PlacementKind::all) return;
  if (parsed.has("cache")) policy.cache.capacity = parse_capacity(parsed.text("cache"), "--cache");
  if (parsed.has("eviction")) policy.cache.eviction = parsed.text("eviction");
  if (parsed.has("cache-scope")) {
    const std::string scope = parsed.text("cache-scope");
    if (scope != "layer" && scope != "global") {
      throw InputError("--cache-scope", "'" + scope + "' is not a scope", "valid: layer, global");
    }
    policy.cache.scope = scope == "layer" ? CacheScope::layer : CacheScope::global;
  }
}

std::vector<Override> overrides(const Parsed& parsed) {
  std::vector<Override> all;
  for (const std::string& text : parsed.texts("set")) all.push_back(parse_override(text));
  return all;
}

bool changes(const std::vector<Override>& set, std::string_view root) {
  return std::any_of(set.begin(), set.end(),
                     [&](const Override& each) { return each.path.starts_with(root); });
}

/// Sets configuration.trace*, trace_name and open.
void resolve_trace(const Parsed& parsed, Run& run) {
  const int batch = static_cast<int>(parsed.integer("batch", 1, 1, 4096));
  run.configuration.batch = batch;
  const auto batched = [batch](std::unique_ptr<trace::StepSource> reader) {
    OpenTrace open{std::move(reader), nullptr};
    if (batch > 1) open.batched = trace::compose_batches(*open.reader, batch);
    return open;
  };
  if (parsed.has("trace")) {
    for (const char* option : {"profile", "requests", "seed"}) {
      if (!parsed.has(option)) continue;
      throw InputError("--" + std::string(option), "cannot be combined with --trace",
                       "it is about a generated trace; leave one of them out");
    }
    const std::string path = parsed.text("trace");
    run.trace_name = path;
    run.configuration.trace_path = path;
    run.open = [path, batched] { return batched(trace::open_trace(path)); };
  } else {
    const std::string name = parsed.has("profile") ? parsed.text("profile") : default_profile;
    const trace::GeneratorProfile profile = trace::load_profile(name);
    const std::int64_t requests = parsed.integer("requests", 4, 1, 1'000'000);
    const auto seed = static_cast<std::uint64_t>(parsed.integer("seed", 1, 0, std::int64_t{1} << 62));
    run.trace_name = "profile " + name;
    run.configuration.trace_path = run.trace_name + " (generated, seed " + std::to_string(seed) + ")";
    run.configuration.seed = seed;
    run.open = [profile, requests, seed, batched] {
      return batched(trace::generate(profile, requests, seed));
    };
  }
  const OpenTrace open = run.open();
  run.configuration.trace = open.reader->info();
  if (!parsed.has("trace")) run.configuration.trace.content_hash = trace::content_hash_of(*open.reader);
}

std::string model_name(const Parsed& parsed, const trace::TraceInfo& info) {
  if (parsed.has("model")) return parsed.text("model");
  const std::vector<std::string> known = model_names();
  if (std::find(known.begin(), known.end(), info.model) != known.end()) return info.model;
  throw InputError("--model", "not given, and the trace does not name a model of the catalogue",
                   "the trace says '" + info.model + "'; pregate list models");
}

/// What a user must know before trusting the numbers.
void note_differences(Run& run) {
  sim::RunConfiguration& configuration = run.configuration;
  for (std::size_t stack = 0; stack < configuration.trace.stacks.size(); ++stack) {
    const int model_stack = configuration.model.stack_index(configuration.trace.stacks[stack]);
    if (model_stack < 0) continue;
    const int model_k = configuration.model.stacks[static_cast<std::size_t>(model_stack)].first_moe().top_k;
    int recorded = 0;
    for (const trace::TraceLayer& layer : configuration.trace.layers) {
      if (layer.stack == static_cast<int>(stack)) recorded = std::max(recorded, layer.top_k);
    }
    if (recorded < model_k) {
      configuration.notes.push_back("the trace was recorded with " + std::to_string(recorded) +
                                    " experts a token where the model routes to " + std::to_string(model_k) +
                                    ": the simulation moves and computes " + std::to_string(recorded));
    }
  }
  if (!configuration.machine.expert_kernel_table.empty()) {
    configuration.notes.push_back("expert times come from the machine's measured table, whatever the model");
  }
}

/// A file beside `path` that holds `text`, to be published.
std::unique_ptr<trace::OutputFile> complete_temporary(const std::string& path, const std::string& text) {
  auto output = std::make_unique<trace::OutputFile>(path, true);
  std::FILE* file = std::fopen(output->temporary().c_str(), "wb");
  bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  int error = errno;
  if (file != nullptr && std::fclose(file) != 0 && written) {
    written = false;
    error = errno;
  }
  if (!written) {
    throw InputError(path, std::string("cannot be written: ") + std::strerror(error), "is the disk full?");
  }
  return output;
}

}  // namespace

void check_outputs(const Parsed& parsed) {
  std::map<std::filesystem::path, std::string> options;
  for (const char* option : {"json", "csv", "store", "timeline", "schedule", "report"}) {
    if (!parsed.has(option)) continue;
    const std::string path = parsed.text(option), name = "--" + std::string(option);
    if (path.empty()) throw InputError(name, "the file name is empty", "name the file to write");
    if (parsed.has("trace")) refuse_overwriting(parsed.text("trace"), path);
    std::error_code ignored;
    const auto [other, is_new] =
        options.emplace(std::filesystem::weakly_canonical(std::filesystem::absolute(path), ignored), name);
    if (!is_new) {
      throw InputError(name, "'" + path + "' is also the file of " + other->second,
                       "give every output a file of its own");
    }
    if (name != "--store") trace::OutputFile(path, true);  // made and taken away again
  }
}

po::options_description run_options() {
  po::options_description options("What to run");
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()                                                                                   //
      ("trace", text(), "routing trace (pregate trace import); default: a generated one")                 //
      ("profile", text(), "generate the trace from this profile (default switch-base-128)")               //
      ("requests", text(), "requests to generate (default 4)")                                            //
      ("seed", text(), "seed of the generator (default 1)")                                               //
      ("model", text(), "catalogue name, .toml or Hugging Face config.json; default: as the trace says")  //
      ("weights", text(), "weight format of the experts, e.g. bf16, q4_k; default: the model's own")      //
      ("dense-weights", text(), "weight format of everything else; default: the model's own")             //
      ("machine", text()->default_value("a100-80g-pcie4"), "catalogue name or .toml")                     //
      ("cache", text(), "expert cache of offloading policies: 4GiB, 25%, '64 slots' (a layer), 0")        //
      ("cache-scope", text(), "layer or global: who shares the capacity")                                 //
      ("eviction", text(), "eviction policy (pregate list evictions)")                                    //
      ("batch", text(), "join this many requests into lock-step batches (default 1)")                     //
      ("set", po::value<std::vector<std::string>>()->composing(),
       "override: machine.link.h2d.bandwidth=50GB/s, model.…, policy.…; repeatable")  //
      ("count-experts", text()->default_value("all"),
       "whose resident experts count as GPU memory: all, decoder")                                //
      ("engine", text()->default_value("auto"), "auto, timed or event; all give the same times")  //
      ("threads", text(), "policies run at once (default: the machine's cores)")                  //
      ("json", text(), "write the results as JSON to this file")                                  //
      ("csv", text(), "write the results as CSV to this file")                                    //
      ("store", text(), "append the results to this SQLite database");
  return options;
}

Run resolve(const Parsed& parsed, const std::string& policies) {
  Run run;
  check_outputs(parsed);
  const std::vector<Override> set = overrides(parsed);
  for (const std::string& name : split_list(policies, "--policy")) {
    run.policies.push_back(load_policy(name, set));
    apply_cache_flags(parsed, run.policies.back());
    validate(run.policies.back(), "policy " + name);
    std::ignore = cache::eviction_registry().find(run.policies.back().cache.eviction,
                                                  parsed.has("eviction") ? "--eviction" : "policy " + name);
  }
  run.configuration.machine = load_machine(parsed.text("machine"), set);
  const std::vector<std::string> catalogue = machine_names();
  run.is_catalogue_machine =
      std::find(catalogue.begin(), catalogue.end(), parsed.text("machine")) != catalogue.end();
  run.machine_changed = changes(set, "machine.");
  run.model_changed = changes(set, "model.") || parsed.has("weights") || parsed.has("dense-weights");
  resolve_trace(parsed, run);
  run.configuration.model = load_model(model_name(parsed, run.configuration.trace),
                                       {parsed.text("weights"), parsed.text("dense-weights")}, set);

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
  note_differences(run);
  return run;
}

std::vector<sim::SimulationResult> run_policies(const Run& run) {
  const OpenTrace first = run.open();
  const sim::PreparedTrace prepared(first.source(), run.configuration.model, run.trace_name);
  std::vector<sim::SimulationResult> results(run.policies.size());
  std::vector<std::exception_ptr> faults(run.policies.size());
  std::atomic<std::size_t> next{0};
  Progress progress(run.policies.size());
  const auto work = [&] {
    for (std::size_t i = next++; i < run.policies.size(); i = next++) {
      try {
        const OpenTrace trace = run.open();
        sim::SimulationOptions options = run.options;
        options.progress = [&, i](std::int64_t done, std::int64_t all) { progress.report(i, done, all); };
        results[i] = sim::simulate(run.configuration.model, run.configuration.machine, run.policies[i],
                                   prepared, trace.source(), options);
        progress.report(i, 1, 1);
      } catch (...) {
        faults[i] = std::current_exception();
      }
    }
  };
  const std::size_t more_threads =
      std::min<std::size_t>(static_cast<std::size_t>(run.threads), run.policies.size()) - 1;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < more_threads; ++i) threads.emplace_back(work);
    work();
  }
  progress.clear();
  for (const std::exception_ptr& fault : faults) {
    if (fault) std::rethrow_exception(fault);
  }
  return results;
}

void write_files(const std::vector<TextFile>& files) {
  std::vector<std::unique_ptr<trace::OutputFile>> complete;
  complete.reserve(files.size());
  for (const TextFile& file : files) complete.push_back(complete_temporary(file.path, file.text));
  for (const auto& file : complete) file->publish();
}

void refuse_overwriting(const std::string& input, const std::string& output) {
  std::error_code ignored;
  if (std::filesystem::equivalent(input, output, ignored)) {
    throw InputError(output, "is the input of this command, and would be overwritten",
                     "choose another name for the output");
  }
}

void write_outputs(const Parsed& parsed, const Run& run, const std::vector<sim::SimulationResult>& results,
                   const sim::Confidences& confidences, const std::vector<TextFile>& more) {
  std::vector<std::unique_ptr<trace::OutputFile>> files;
  const auto write = [&files](const std::string& path, const std::string& text) {
    files.push_back(complete_temporary(path, text));
  };
  if (parsed.has("json"))
    write(parsed.text("json"), sim::results_json(run.configuration, results, confidences));
  if (parsed.has("csv")) write(parsed.text("csv"), sim::results_csv(results, confidences));
  for (const TextFile& file : more) write(file.path, file.text);
  if (parsed.has("store")) sim::store_results(parsed.text("store"), run.configuration, results, confidences);
  for (const auto& file : files) file->publish();
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
