// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/routing.hpp"

#include <algorithm>
#include <limits>
#include <mutex>

#include "cli/model_of_trace.hpp"
#include "cli/recorded_format.hpp"
#include "cli/run.hpp"
#include "models/error.hpp"
#include "models/formats/apply_formats.hpp"
#include "sim/serve/drafts.hpp"
#include "sim/serve/prompt_chunks.hpp"
#include "traces/content_hash.hpp"
#include "traces/kept_steps.hpp"
#include "traces/locality.hpp"
#include "traces/reader.hpp"

namespace pregate::cli {

namespace {

constexpr const char* default_profile = "switch-base-128";
/// In lock step what is batched and cut is so in the trace; other batchers do that themselves.
Opener passes(std::function<std::shared_ptr<trace::StepSource>()> open,
              const sim::RunConfiguration& configuration) {
  const bool lock_step = configuration.serving.is_lock_step();
  return [open = std::move(open), batch = lock_step ? configuration.batch : 1,
          chunk = lock_step && configuration.prompt_in_chunks ? configuration.prompt_chunk : 0,
          draft = configuration.serving.draft] {
    OpenTrace trace{open(), nullptr, nullptr, nullptr};
    if (draft.tokens > 0 || draft.acceptance > 0) trace.drafted = sim::verify_drafts(trace.source(), draft);
    if (batch > 1) trace.batched = trace::compose_batches(trace.source(), batch);
    if (chunk > 0) trace.chunked = sim::cut_prompts(trace.source(), chunk);
    return trace;
  };
}

using Readers = std::function<std::shared_ptr<trace::StepSource>()>;

Readers readers_of(const std::shared_ptr<trace::KeptSteps>& generated) {
  return [generated] { return generated->reader(); };
}

/// The same object while somebody has it: runs that differ in software, formats or machine read one routing.
std::shared_ptr<trace::KeptSteps> generated(const trace::GeneratorProfile& profile, std::int64_t requests,
                                            std::uint64_t seed) {
  struct Known {
    trace::GeneratorProfile profile;
    std::int64_t requests;
    std::uint64_t seed;
    std::weak_ptr<trace::KeptSteps> made;
  };
  static std::mutex mutex;
  static std::vector<Known> all;
  const std::scoped_lock lock(mutex);
  std::erase_if(all, [](const Known& each) { return each.made.expired(); });
  for (const Known& each : all) {
    auto made = each.made.lock();
    if (made && each.requests == requests && each.seed == seed && each.profile == profile) return made;
  }
  auto made = std::make_shared<trace::KeptSteps>(
      [=]() -> std::shared_ptr<trace::StepSource> { return trace::generate(profile, requests, seed); });
  all.push_back({profile, requests, seed, made});
  return made;
}

void refuse_beside(const Parsed& parsed, const char* option, std::initializer_list<const char*> others,
                   const char* hint) {
  for (const char* other : others)
    if (parsed.has(other))
      throw InputError("--" + std::string(other), "cannot be combined with --" + std::string(option), hint);
}

/// Requests, seed and lengths as the options say.
struct Wanted {
  std::int64_t requests;
  std::uint64_t seed;
  int prompt, output;
};

Wanted wanted(const Parsed& parsed, std::int64_t default_requests) {
  return {parsed.integer("requests", default_requests, 1, 1'000'000),
          static_cast<std::uint64_t>(parsed.integer("seed", 1, 0, std::int64_t{1} << 62)),
          static_cast<int>(
              parsed.integer("prompt", trace::RequestShape{}.prompt_tokens, 0, trace::max_step_tokens)),
          static_cast<int>(parsed.integer("output", trace::RequestShape{}.output_tokens, 1, 10'000'000))};
}

/// In the formats that were chosen, and where the software's files decide the rest, in theirs.
ModelSpec load(const Parsed& parsed, const std::string& name, const std::vector<Override>& set, Run& run) {
  const std::string weights = parsed.text("weights"), chosen = parsed.text("dense-weights");
  ModelSpec model = load_model(name, {weights, chosen}, set);
  const auto& software = run.configuration.software;
  const std::vector<std::string> catalogue = model_names();
  const bool is_file = std::find(catalogue.begin(), catalogue.end(), name) == catalogue.end();
  const bool is_set = std::any_of(set.begin(), set.end(),
                                  [](const Override& each) { return each.path == "model.weights.dense"; });
  if (!software || is_set || (is_file && weights.empty())) return model;
  const std::string dense = dense_format_in_files(*software, model.expert_format.name, weights, chosen);
  if (dense.empty() || !chosen.empty()) return model;
  store_rest_as(model, dense, "software.files.beside_mxfp4");
  run.configuration.notes.push_back("all but the experts is " + dense + ", as in files for " +
                                    software->name + " (--dense-weights says otherwise)");
  return model;
}

/// Whether the user said how the experts are stored: by option, by key, or with a file of his own.
bool format_is_chosen(const Parsed& parsed, const std::string& model, const std::vector<Override>& set) {
  const std::vector<std::string> catalogue = model_names();
  return parsed.has("weights") || std::find(catalogue.begin(), catalogue.end(), model) == catalogue.end() ||
         std::any_of(set.begin(), set.end(),
                     [](const Override& each) { return each.path == "model.weights.experts"; });
}

void use_recording(const Parsed& parsed, const std::vector<Override>& set, Run& run) {
  refuse_beside(parsed, "trace", {"profile", "locality", "prompt", "output", "requests", "seed", "load"},
                "it is about a generated trace; leave one of them out");
  const std::string path = parsed.text("trace");
  sim::RunConfiguration& configuration = run.configuration;
  run.trace_name = path;
  configuration.trace_path = path;
  const auto reading = [&](trace::Verify verify) {
    return passes(
        [path, verify] { return std::shared_ptr<trace::StepSource>(trace::open_trace(path, verify)); },
        configuration);
  };
  run.open = reading(trace::Verify::first_pass);
  run.reopen = reading(trace::Verify::no);
  configuration.trace = run.open().reader->info();
  std::string model = parsed.text("model"), found;
  if (model.empty()) {
    const ModelChoice choice = model_of_trace(configuration.trace);
    model = choice.name;
    found = choice.note;
  }
  configuration.model = load(parsed, model, set, run);
  check_model_fits(configuration.trace, configuration.model, path);
  const bool chosen = format_is_chosen(parsed, model, set);
  const std::string recorded = use_recorded_sizes(
      configuration.trace, {chosen, chosen || parsed.has("dense-weights")}, configuration.model);
  run.model_changed = run.model_changed || (!recorded.empty() && !chosen);
  for (const std::string& note : {recorded, found})
    if (!note.empty()) configuration.notes.push_back(note);
}

void use_profile(const Parsed& parsed, const std::vector<Override>& set, Run& run) {
  if (parsed.has("load") && !parsed.has("profile"))
    throw InputError("--load", "it says when requests come, not of which model", "--model NAME");
  refuse_beside(parsed, "profile", {"locality", "load"},
                "a profile has statistics of its own; leave it out for routing of the model's own shape");
  const std::string name = parsed.has("profile") ? parsed.text("profile") : default_profile;
  trace::GeneratorProfile profile = trace::load_profile(name);
  const Wanted how = wanted(parsed, 4);
  if (parsed.has("prompt"))
    (profile.encoder_tokens > 0 ? profile.encoder_tokens : profile.prefill_tokens) = how.prompt;
  if (parsed.has("output")) profile.decode_steps = how.output;
  sim::RunConfiguration& configuration = run.configuration;
  run.trace_name = "profile " + name;
  configuration.trace_path = run.trace_name + " (generated, seed " + std::to_string(how.seed) + ")";
  configuration.seed = how.seed;
  configuration.routing = sim::Routing{.profile = name};
  const Readers readers = readers_of(generated(profile, how.requests, how.seed));
  run.open = run.reopen = passes(readers, configuration);
  configuration.trace = readers()->info();
  if (parsed.has("model")) {
    configuration.model = load(parsed, parsed.text("model"), set, run);
    try {
      check_model_fits(configuration.trace, configuration.model, run.trace_name);
    } catch (const InputError&) {
      throw InputError(
          "--profile",
          "'" + printable(name) + "' generates " + describe_shape(configuration.trace) +
              ", which is not the shape of model " + configuration.model.name,
          "leave out --profile: routing of the model's own shape is then generated (--locality)");
    }
  } else {
    configuration.model = load(parsed, model_of_trace(configuration.trace).name, set, run);
  }
  configuration.trace.content_hash = trace::content_hash_of(*readers());
}

/// --load; empty without it.
std::vector<trace::LoadRequest> load_of(const Parsed& parsed, const sim::RunConfiguration& configuration) {
  if (!parsed.has("load")) return {};
  refuse_beside(parsed, "load", {"prompt", "output", "requests"}, "the file says it, request by request");
  if (configuration.serving.is_lock_step()) {
    throw InputError("--load", "its requests arrive in time, and lock step knows no time",
                     "--batcher continuous");
  }
  return trace::read_load(parsed.text("load"));
}

void use_own_shape(const Parsed& parsed, const std::vector<Override>& set, Run& run) {
  sim::RunConfiguration& configuration = run.configuration;
  configuration.model = load(parsed, parsed.text("model"), set, run);
  const Wanted how = wanted(parsed, configuration.batch);
  const auto profile_of = [&](const std::string& locality) {
    return trace::shaped_profile(configuration.model, trace::load_locality(locality),
                                 {how.prompt, how.output});
  };
  const std::string name = parsed.has("locality") ? parsed.text("locality") : "typical";
  const std::vector<trace::LoadRequest> load = load_of(parsed, configuration);
  const auto readers_with = [&](const std::string& locality) {
    const trace::GeneratorProfile profile = profile_of(locality);
    if (load.empty()) return readers_of(generated(profile, how.requests, how.seed));
    return readers_of(std::make_shared<trace::KeptSteps>(
        [profile, load, seed = how.seed]() -> std::shared_ptr<trace::StepSource> {
          return trace::generate(profile, load, seed);
        }));
  };
  const Readers readers = readers_with(name);
  run.open = run.reopen = passes(readers, configuration);
  run.low = name == "low" ? run.open : passes(readers_with("low"), configuration);
  run.high = name == "high" ? run.open : passes(readers_with("high"), configuration);
  configuration.trace = readers()->info();
  configuration.trace.content_hash = trace::content_hash_of(*readers());
  configuration.seed = how.seed;
  configuration.routing =
      sim::Routing{.locality = name, .prompt_tokens = how.prompt, .output_tokens = how.output};
  run.trace_name = "routing of model " + configuration.model.name;
  configuration.trace_path = name + " locality (generated, seed " + std::to_string(how.seed) + ")";
  if (!load.empty()) configuration.trace_path += ", load of " + printable(parsed.text("load"), 80);
  configuration.notes.push_back(
      "the routing is generated, not recorded: the model's own shape with " + name +
      " locality (docs/traces.md); a recording of it, read with --trace, says more");
}

/// What a user must know before trusting the numbers.
void note_differences(Run& run) {
  sim::RunConfiguration& configuration = run.configuration;
  for (std::size_t stack = 0; stack < configuration.trace.stacks.size(); ++stack) {
    const int model_stack = configuration.model.stack_index(configuration.trace.stacks[stack]);
    if (model_stack < 0) continue;
    int recorded = 0, model_k = 0;
    for (const LayerProfile& layer :
         configuration.model.profile(configuration.model.stacks[static_cast<std::size_t>(model_stack)]))
      model_k = std::max(model_k, layer.top_k);
    for (const trace::TraceLayer& layer : configuration.trace.layers) {
      if (layer.stack == static_cast<int>(stack)) recorded = std::max(recorded, layer.top_k);
    }
    if (recorded < model_k) {
      configuration.notes.push_back("the trace was recorded with " + std::to_string(recorded) +
                                    " experts a token where the model routes to " + std::to_string(model_k) +
                                    ": the simulation moves and computes " + std::to_string(recorded));
    }
  }
  Bytes least{std::numeric_limits<std::int64_t>::max()}, most;
  for (const Stack& stack : configuration.model.stacks) {
    for (const int layer : moe_layers(stack)) {
      const Bytes expert = configuration.model.expert_bytes(stack, layer);
      least = std::min(least, expert);
      most = std::max(most, expert);
    }
  }
  if (least < most) {
    configuration.notes.push_back("experts differ by layer, " + to_string(least) + " to " + to_string(most) +
                                  ": a copy is priced at their mean, a slot holds the largest");
  }
  if (configuration.serving.is_lock_step() && configuration.batch > configuration.trace.requests) {
    const std::int64_t requests = configuration.trace.requests;
    configuration.notes.push_back(
        "--batch " + std::to_string(configuration.batch) + " has no effect: the trace has " +
        (requests == 1 ? "one request" : std::to_string(requests) + " requests, which run as one batch"));
  }
  // A machine that is no datasheet's names what it was fitted with: that is no estimate, and nothing to
  // choose.
  const bool is_guessed =
      configuration.machine.calibration == "datasheet" && !configuration.machine.software.empty();
  if (run.software.empty() && is_guessed) {
    configuration.notes.push_back("no --software is named: " + configuration.machine.software +
                                  " launches, an estimate, are priced; llama-cpp, ktransformers and vllm are "
                                  "fitted to what was measured of them (pregate list software)");
  }
}

}  // namespace

po::options_description routing_options() {
  po::options_description options("Which model on which routing");
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()  //
      ("model", text(),
       "catalogue name, .toml, config.json or its folder, .gguf; default: as the trace says")        //
      ("trace", text(), "recorded routing (pregate trace import); default: generated routing")       //
      ("locality", text(), "of generated routing: low, typical, high or a .toml (default typical)")  //
      ("prompt", text(), "tokens of a generated request's prompt (default 512)")                     //
      ("output", text(), "decode steps of a generated request (default 128)")                        //
      ("requests", text(), "requests to generate (default: as many as --batch; with --profile 4)")   //
      ("load", text(), "requests to generate, a .csv: arrival_s,prompt_tokens,output_tokens")        //
      ("seed", text(), "seed of the generator (default 1)")                                          //
      ("profile", text(),
       "generate from this profile instead (default switch-base-128 where no --model is given)");
  return options;
}

void resolve_routing(const Parsed& parsed, const std::vector<Override>& set, Run& run) {
  run.configuration.batch = static_cast<int>(parsed.integer("batch", 1, 1, 4096));
  // Given, it cuts prompts; the default counts as memory only, and results without it stay what they were.
  run.options.prompt_chunk =
      static_cast<int>(parsed.integer("prompt-chunk", sim::default_prompt_chunk, 0, 1'000'000'000));
  run.configuration.prompt_chunk = run.options.prompt_chunk;
  const auto& software = run.configuration.software;
  const bool cut_by_software = !parsed.has("prompt-chunk") && software && software->prompt_chunk > 0;
  if (cut_by_software) run.options.prompt_chunk = run.configuration.prompt_chunk = software->prompt_chunk;
  // What reserves its buffers for a chunk does so whatever the prompts are.
  SoftwareMemorySpec& memory = run.configuration.machine.memory;
  if (parsed.has("prompt-chunk") && run.options.prompt_chunk > 0 && memory.reserved_tokens > 0)
    memory.reserved_tokens = run.options.prompt_chunk;
  run.configuration.prompt_in_chunks =
      cut_by_software || (parsed.has("prompt-chunk") && run.options.prompt_chunk > 0);
  sim::ServingSpec& serving = run.options.serving;
  if (run.configuration.prompt_in_chunks) serving.prompt_chunk = run.configuration.prompt_chunk;
  run.configuration.serving = serving;
  if (!serving.is_lock_step())
    run.configuration.batch = serving.batcher->most_requests(serving.batcher.parameters());
  if (parsed.has("trace")) {
    use_recording(parsed, set, run);
  } else if (parsed.has("profile") || !parsed.has("model")) {
    if (!parsed.has("profile") && parsed.has("locality"))
      throw InputError("--locality", "needs a model, whose routing is generated", "name it with --model");
    use_profile(parsed, set, run);
  } else {
    use_own_shape(parsed, set, run);
  }
  note_differences(run);
}

}  // namespace pregate::cli
