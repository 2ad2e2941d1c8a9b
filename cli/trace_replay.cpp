// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <tuple>

#include "cli/command.hpp"
#include "cli/run.hpp"
#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/report/text_table.hpp"
#include "sim/run/replay.hpp"
#include "traces/reader.hpp"

namespace pregate::cli {

namespace {

std::string percent(std::int64_t part, std::int64_t whole) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f",
                whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0);
  return text;
}

/// The settings of the cache beside the options: parameters of evictions and the admission, and the profile.
class CacheSettings {
 public:
  /// InputError for what is none of these, or a parameter of none of `evictions` nor of `admission`.
  CacheSettings(const std::vector<std::string>& texts, const std::vector<std::string>& evictions,
                const sim::AdmissionEntry& admission)
      : admission_(admission) {
    for (const std::string& text : texts) {
      Override set = parse_override(text);
      const bool has_a_use = set.path == root + "profile" || std::any_of(evictions.begin(), evictions.end(),
                                                                         [&](const std::string& eviction) {
                                                                           return is_parameter(set, eviction);
                                                                         });
      if (!has_a_use) {
        throw InputError("--set", "'" + printable(set.path) + "' is no parameter of these evictions",
                         "policy.cache.profile, or one of pregate list parts that goes with the eviction or "
                         "the admission");
      }
      all_.push_back(std::move(set));
    }
  }
  void apply(PolicySpec& policy) const {
    std::vector<Override> own = {{root + "eviction", policy.cache.eviction, "--eviction"},
                                 {root + "admission", admission_.name, "--admission"}};
    for (const Override& set : all_) {
      if (set.path == root + "profile" || is_parameter(set, policy.cache.eviction)) own.push_back(set);
    }
    const PolicySpec read = parse_policy_toml("", "--set", own);
    policy.cache.eviction_parameters = read.cache.eviction_parameters;
    policy.cache.admission = read.cache.admission;
    policy.cache.profile = read.cache.profile;
  }

 private:
  inline static const std::string root = "policy.cache.";
  [[nodiscard]] bool is_parameter(const Override& set, const std::string& eviction) const {
    if (!set.path.starts_with(root)) return false;
    const std::string key = set.path.substr(root.size());
    return admission_.parameters.find(key) != nullptr ||
           cache::eviction_registry().find(eviction, "--eviction").parameters.find(key) != nullptr;
  }

  const sim::AdmissionEntry& admission_;
  std::vector<Override> all_;
};

/// For the help: all that there are.
std::string admissions() {
  std::string all;
  for (const sim::AdmissionEntry& each : sim::built_in_parts().admissions.entries())
    all += (all.empty() ? "" : ", ") + each.name;
  return all;
}

}  // namespace

ExitCode trace_replay(const Arguments& arguments) {
  po::options_description options("Options");
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()                                                                              //
      ("trace", text(), "trace database")                                                            //
      ("cache", text()->default_value("25%"), "capacities, comma-separated: 4GiB, 25%, '64 slots'")  //
      ("eviction", text()->default_value("lru"), "eviction policies, comma-separated")               //
      ("scope", text()->default_value("layer"), "layer or global")                                   //
      ("admission", text()->default_value(sim::built_in_parts().admissions.standard().name),
       admissions().c_str())                                       //
      ("seed", text(), "seed of evictions that draw (default 1)")  //
      ("set", po::value<std::vector<std::string>>()->composing(),
       "policy.cache.KEY=VALUE, of an eviction's parameters, or the profile that the cache starts with; "
       "repeatable")                                                                     //
      ("expert-bytes", text(), "size of an expert, where the trace does not record it")  //
      ("batch", text(), "join this many requests into lock-step batches (default 1)");
  const Parsed parsed =
      parse("pregate trace replay TRACE.db [--cache A,B,...] [--eviction X,Y,...] [--scope global]", options,
            arguments, "trace", 1);
  if (parsed.help) return 0;
  if (!parsed.has("trace"))
    throw InputError("pregate trace replay", "no trace given", "usage: pregate trace replay TRACE.db");
  const std::string scope = parsed.text("scope"), admission = parsed.text("admission");
  if (scope != "layer" && scope != "global")
    throw InputError("--scope", "'" + scope + "' is not a scope", "valid: layer, global");
  const sim::AdmissionEntry& admits = sim::built_in_parts().admissions.find(admission, "--admission");
  const Bytes expert =
      parsed.has("expert-bytes") ? parse_bytes(parsed.text("expert-bytes"), "--expert-bytes") : Bytes{};
  PolicySpec policy;
  policy.cache.scope = scope == "layer" ? CacheScope::layer : CacheScope::global;
  policy.cache.seed = static_cast<std::uint64_t>(parsed.integer("seed", 1, 0, std::int64_t{1} << 62));

  const auto file = trace::open_trace(parsed.text("trace"));
  const int batch = static_cast<int>(parsed.integer("batch", 1, 1, 4096));
  const auto batched = batch > 1 ? trace::compose_batches(*file, batch) : nullptr;
  trace::StepSource& source = batched ? *batched : *file;

  const std::vector<std::string> evictions = split_list(parsed.text("eviction"), "--eviction");
  const CacheSettings settings(parsed.texts("set"), evictions, admits);
  sim::TextTable table({"capacity", "eviction", "hits % (all)", "hits % (decode)", "activated", "read MiB"});
  for (const std::string& capacity : split_list(parsed.text("cache"), "--cache")) {
    policy.cache.capacity = parse_capacity(capacity, "--cache");
    for (const std::string& eviction : evictions) {
      policy.cache.eviction = eviction;
      std::ignore = cache::eviction_registry().find(eviction, "--eviction");
      settings.apply(policy);
      const sim::ReplayResult result = sim::replay(source, policy, expert);
      char read[32] = "-";
      if (result.read.count > 0) {
        std::snprintf(read, sizeof read, "%.1f", static_cast<double>(result.read.count) / (1 << 20));
      }
      table.add({capacity, eviction, percent(result.hits, result.accesses),
                 percent(result.decode_hits, result.decode_accesses), std::to_string(result.accesses), read});
    }
  }
  print(table.text());
  return 0;
}

}  // namespace pregate::cli
