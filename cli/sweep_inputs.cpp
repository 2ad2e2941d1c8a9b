// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/sweep_inputs.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>

#include "models/error.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/report/config_json.hpp"
#include "traces/reader.hpp"

namespace pregate::cli {

namespace {

using Json = nlohmann::ordered_json;

/// Options whose lists are axes, in the order of points.
constexpr std::array listed_options{"trace", "model", "machine", "seed", "gpus",
                                    "tp",    "pp",    "ep",      "dp",   "policy"};

bool is_option(const std::string& key) { return key.find('.') == std::string::npos; }

Concern concern_of(const std::string& key) {
  if (key == "policy" || key.starts_with("policy.")) return Concern::policy;
  if (key.starts_with("machine.")) return Concern::hardware;
  return Concern::workload;
}

/// With another value of a text option.
void give(Parsed& parsed, const std::string& option, const std::string& value) {
  std::map<std::string, po::variable_value>& values = parsed.values;
  values.insert_or_assign(option, po::variable_value(boost::any(value), false));
}

void give_set(Parsed& parsed, const std::vector<Override>& overrides) {
  std::vector<std::string> set = parsed.texts("set");
  for (const Override& each : overrides) set.push_back(each.path + "=" + each.value);
  std::map<std::string, po::variable_value>& values = parsed.values;
  values.insert_or_assign("set", po::variable_value(boost::any(set), false));
}

std::vector<sim::Axis> listed_axes(const Parsed& parsed) {
  std::vector<sim::Axis> axes;
  for (const char* option : listed_options) {
    if (!parsed.has(option)) continue;
    const std::string where = "--" + std::string(option);
    sim::Axis axis{option, split_list(parsed.text(option), where), {}};
    for (std::size_t i = 0; i < axis.values.size(); ++i) {
      if (std::find(axis.values.begin(), axis.values.begin() + static_cast<std::ptrdiff_t>(i),
                    axis.values[i]) != axis.values.begin() + static_cast<std::ptrdiff_t>(i))
        throw InputError(where, "'" + printable(axis.values[i]) + "' stands there twice", "leave one out");
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

/// What a value that names a file stands for: a description's text, a recording's hash.
void add_file(Json& files, const std::string& key, const std::string& value) {
  if (key == "trace") {
    files[value] = trace::open_trace(value, trace::Verify::no)->info().content_hash;
    return;
  }
  constexpr std::uintmax_t most_bytes = 1 << 20;
  std::error_code ignored;
  if (!is_path(value) || !std::filesystem::is_regular_file(value, ignored)) return;
  const std::uintmax_t size = std::filesystem::file_size(value, ignored);
  if (size > most_bytes) {
    files[value] = size;
    return;
  }
  std::ifstream file(value, std::ios::binary);
  files[value] = std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<sim::Axis> varied_axes(const Parsed& parsed) {
  std::vector<sim::Axis> axes;
  for (const std::string& text : parsed.texts("vary")) {
    axes.push_back(sim::parse_axis(text, "--vary"));
    const std::string& key = axes.back().key;
    std::ignore = parse_override(key + "=0", "--vary");  // names the roots there are
    if (key == "policy.software")
      throw InputError("--vary policy.software", "all points run on one software",
                       "name it with --software, or vary software.*");
    for (const std::string& set : parsed.texts("set")) {
      if (parse_override(set).path == key)
        throw InputError("--vary " + printable(key), "--set sets it as well", "leave one out");
    }
  }
  return axes;
}

sim::Sampling sampling_in(const Parsed& parsed) {
  const auto seed = static_cast<std::uint64_t>(parsed.integer("sample-seed", 1, 0, std::int64_t{1} << 62));
  return sim::parse_sampling(parsed.has("sample") ? parsed.text("sample") : "grid", seed, "--sample");
}

/// Of a point only its inputs are resolved: that the sweep's outputs can be written was tried once, and a
/// disk that is full by now is no property of a point.
Parsed without_outputs(Parsed parsed) {
  for (const char* option : {"json", "csv", "json-lines", "report"}) parsed.values.erase(option);
  return parsed;
}

}  // namespace

SweepInputs::SweepInputs(const Parsed& parsed)
    : parsed_(without_outputs(parsed)),
      sampling_(sampling_in(parsed)),
      points_(listed_axes(parsed), varied_axes(parsed), sampling_) {
  for (const sim::Axis& axis : points_.axes()) concerns_.push_back(concern_of(axis.key));
  // Who is asked first whether he wants so many samples need not wait for all of them.
  const bool asks = points_.count() > many_points && !parsed.flag("yes");
  number_points(asks && sampling_.kind != sim::Sampling::Kind::grid ? 1 : points_.count());
  find_families();
}

void SweepInputs::number_points(std::int64_t first) {
  std::array<std::map<Settings, int>, concern_count> known;
  for (std::vector<int>& numbers : numbers_) numbers.reserve(static_cast<std::size_t>(first));
  for (std::int64_t point = 0; point < first; ++point) {
    const std::vector<std::string> values = points_.at(point);
    std::array<Settings, concern_count> of_concern;
    for (std::size_t i = 0; i < values.size(); ++i)
      of_concern[static_cast<std::size_t>(concerns_[i])].push_back(values[i]);
    for (std::size_t i = 0; i < concern_count; ++i) {
      const auto [at, is_new] = known[i].emplace(of_concern[i], static_cast<int>(settings_[i].size()));
      if (is_new) settings_[i].push_back(of_concern[i]);
      numbers_[i].push_back(at->second);
    }
  }
}

void SweepInputs::find_families() {
  std::map<std::vector<std::string>, int> known;
  const int policies = count_of(Concern::policy);
  for (int policy = 0; policy < policies; ++policy) {
    std::vector<std::string> others;
    for (const Override& each : overrides(Concern::policy, policy))
      if (each.path != "policy.cache.capacity") others.push_back(each.value);
    families_.push_back(known.emplace(others, static_cast<int>(known.size())).first->second);
  }
}

std::vector<Override> SweepInputs::overrides(Concern concern, int number) const {
  const Settings& values = settings_[static_cast<std::size_t>(concern)][static_cast<std::size_t>(number)];
  std::vector<Override> all;
  std::size_t next = 0;
  for (std::size_t i = 0; i < concerns_.size(); ++i) {
    if (concerns_[i] != concern) continue;
    all.push_back({points_.axes()[i].key, values[next++], "--vary " + points_.axes()[i].key});
  }
  return all;
}

Run SweepInputs::workload(int number) const {
  if (number == 0 && first_) return *first_;
  Parsed parsed = parsed_;
  std::vector<Override> set;
  for (const Override& each : overrides(Concern::workload, number)) {
    if (is_option(each.path)) {
      give(parsed, each.path, each.value);
    } else {
      set.push_back(each);
    }
  }
  give_set(parsed, set);
  return resolve(parsed, parsed.text("policy"));
}

MachineSpec SweepInputs::machine(const Run& workload, int number) const {
  const std::vector<Override> varied = overrides(Concern::hardware, number);
  if (varied.empty()) return workload.configuration.machine;
  std::vector<Override> set = workload.set;
  set.insert(set.end(), varied.begin(), varied.end());
  MachineSpec machine = load_machine(workload.machine_name, set, parsed_.text("host"), workload.software);
  const sim::ParallelSpec& parallel = workload.options.parallel;
  return parallel.is_one() ? machine : sim::with_gpus(std::move(machine), parallel.gpus());
}

PolicySpec SweepInputs::policy(const Run& workload, int number) const {
  std::vector<Override> set = workload.set, flags = workload.cache_flags;
  std::string name;
  for (const Override& each : overrides(Concern::policy, number)) {
    if (each.path == "policy") {
      name = each.value;
    } else if (each.path.starts_with("policy.cache.")) {
      flags.push_back(each);  // as --cache: nothing to a policy that keeps all experts
    } else {
      set.push_back(each);
    }
  }
  return load_policy(name, set, flags);
}

std::string SweepInputs::policy_name(int number) const {
  for (const Override& each : overrides(Concern::policy, number))
    if (each.path == "policy") return each.value;
  return {};
}

std::string SweepInputs::settings(std::int64_t point) const {
  const std::vector<std::string> values = points_.at(point);
  Json json = Json::object();
  for (std::size_t i = 0; i < values.size(); ++i) json[points_.axes()[i].key] = values[i];
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string SweepInputs::plan() const {
  Json json{{"version", sim::version()}, {"sampling", sim::to_string(sampling_)}, {"axes", Json::array()}};
  for (const sim::Axis& axis : points_.axes()) {
    Json each{{"key", axis.key}};
    if (axis.range) {
      each["range"] = {axis.range->at(0), axis.range->at(1)};
      each["logarithmic"] = axis.range->logarithmic;
    } else {
      each["values"] = axis.values;
    }
    json["axes"].push_back(std::move(each));
  }
  json["set"] = parsed_.texts("set");
  json["files"] = Json::object();
  for (const sim::Axis& axis : points_.axes())
    for (const std::string& value : axis.values) add_file(json["files"], axis.key, value);
  const Run first = workload(0);
  json["first"] = sim::configuration_json(first.configuration);
  json["policies"] = Json::array();
  for (const PolicySpec& policy : first.policies) json["policies"].push_back(sim::policy_json(policy));
  json["traces"] = Json::array();
  const auto trace = std::find_if(points_.axes().begin(), points_.axes().end(),
                                  [](const sim::Axis& axis) { return axis.key == "trace"; });
  if (trace == points_.axes().end()) {
    json["traces"].push_back(first.configuration.trace.content_hash);
  } else {
    for (const std::string& path : trace->values)
      json["traces"].push_back(trace::open_trace(path)->info().content_hash);
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

void SweepInputs::check_values() const {
  // Settings in which all axes but one are at their first value are found among those of the points in a
  // grid; in a sample every point is one of its own, and the first of each concern stand for them.
  const auto is_alone = [](const Settings& settings, const Settings& first) {
    int others = 0;
    for (std::size_t i = 0; i < settings.size(); ++i) others += settings[i] == first[i] ? 0 : 1;
    return others <= 1;
  };
  const auto each_alone = [&](Concern concern, const auto& visit) {
    const std::vector<Settings>& all = settings_[static_cast<std::size_t>(concern)];
    for (std::size_t i = 0; i < all.size(); ++i)
      if (is_alone(all[i], all.front())) visit(static_cast<int>(i));
  };
  if (!first_) first_ = workload(0);
  const Run& first = *first_;
  each_alone(Concern::hardware, [&](int number) { std::ignore = machine(first, number); });
  each_alone(Concern::policy, [&](int number) { std::ignore = policy(first, number); });
  each_alone(Concern::workload, [&](int number) {
    if (number > 0) std::ignore = workload(number);
  });
}

}  // namespace pregate::cli
