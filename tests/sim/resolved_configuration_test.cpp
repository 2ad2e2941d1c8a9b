// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Whatever changes a result changes the resolved configuration that stands beside it. The keys come from the
// descriptions, so a new field is held to this by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "models/catalog.hpp"
#include "models/embedded.hpp"
#include "models/error.hpp"
#include "models/fields/describe.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/policy/policy_fields.hpp"
#include "sim/report/config_json.hpp"
#include "sim/report/report.hpp"

namespace pregate::sim {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;  // key and value
using Resolve = std::function<std::string(const std::vector<Override>&)>;

/// What `pregate simulate --json` has as configuration of the policy or the machine.
std::string resolved_policy(const std::vector<Override>& set) {
  return policy_json(load_policy("on-demand", set)).dump();
}
std::string resolved_machine(const std::vector<Override>& set) {
  static const ModelSpec model = load_model("olmoe-1b-7b");
  RunConfiguration run;
  run.model = model;
  run.machine = load_machine("rtx4090-pcie4", set);
  return configuration_json(run)["machine"].dump();
}

double number(const Node& value) {
  return value.kind == Node::Kind::integer ? static_cast<double>(value.integer) : value.real;
}

/// Some more and some less than `present`, and the least that is believed; the resolver may refuse some.
std::vector<std::string> numbers(const Field& field, const Node& present) {
  const double unit = field.quantity == Quantity::time ? 1e6 : 1;
  const double is = number(present), least = field.range ? field.range->least * unit : 0;
  const std::vector<double> values = {is * 1.25, is * 0.75, is + 1, is + 2, is + 0.5,
                                      least,     least * 2, 0.5,    0.25};
  std::vector<std::string> texts;
  for (const double value : values) {
    const bool whole = field.quantity == Quantity::count || field.quantity == Quantity::bytes;
    texts.push_back(written(field, whole ? node_of(static_cast<std::int64_t>(value)) : node_of(value)));
  }
  return texts;
}

/// Values to try, different from each other and from `present`.
std::vector<std::string> values(const Field& field, const Node& present) {
  std::vector<std::string> all;
  switch (field.quantity) {
    case Quantity::choice:
      for (const NamedValue& each : field.names) all.push_back(each.name);
      break;
    case Quantity::text:
      all = {"some text", "another text"};
      if (field.list == "pregate list evictions") {
        all.clear();
        for (const cache::EvictionEntry& entry : cache::eviction_registry().entries())
          all.push_back(entry.name);
      }
      if (field.key == "gpu.others") all = {"rtx3090-pcie4", "a100-80g-pcie4"};
      break;
    case Quantity::flag:
      all = {"true", "false"};
      break;
    case Quantity::capacity:
      all = {"1 slot", "2 slots", "4 GiB", "4294967297 B", "25%", "25.000001%"};
      break;
    case Quantity::table:
      break;
    default:
      all = numbers(field, present);
  }
  std::erase(all, written(field, present));
  std::set<std::string> seen;
  std::erase_if(all, [&](const std::string& text) { return !seen.insert(text).second; });
  return all;
}

template <typename Spec>
struct Keys {
  const char* root;
  const Fields<Spec>& fields;
  std::function<Spec(const std::vector<Override>&)> load;
  Resolve resolve;

  std::vector<Override> overrides(const Settings& settings) const {
    std::vector<Override> set;
    for (const auto& [key, value] : settings) set.push_back(parse_override(root + key + "=" + value));
    return set;
  }
  /// Nothing where the settings do not go together.
  std::optional<std::string> resolved(const Settings& settings) const {
    try {
      return resolve(overrides(settings));
    } catch (const InputError&) {
      return std::nullopt;
    }
  }
  /// What else must be set so that `key` may be `value`: fields that need it, and the field's own condition.
  std::vector<Settings> companies(const Field& field, const std::string& value) const {
    const Settings needed = needed_with(field.key, value, field.key);
    std::vector<Settings> all = {{}};
    if (!needed.empty()) all.push_back(needed);
    if (field.condition) {
      const std::string &on = field.condition->key, &chosen = field.condition->values.front();
      Settings with = needed_with(on, chosen, field.key);
      with.emplace_back(on, chosen);
      all.push_back(with);
    }
    // by-chunk needs chunks.
    if (std::string_view(root) == "policy." && field.key == "compute.experts")
      all.push_back({{"transfer.chunk", "1 MiB"}});
    // Some choices of a policy need a cache, whatever it is like.
    for (std::size_t i = 0, plain = all.size(); std::string_view(root) == "policy." && i < plain; ++i) {
      if (field.key == "cache.capacity") break;
      all.push_back(all[i]);
      all.back().emplace_back("cache.capacity", "2 slots");
    }
    return all;
  }

  /// Fields but `itself` that `key` needs where it is `value`.
  Settings needed_with(const std::string& key, const std::string& value, const std::string& itself) const {
    Settings needed;
    for (const auto& [other, value_in, read] : fields.entries()) {
      if (!other.condition || other.condition->key != key || other.key == itself) continue;
      const auto& when = other.condition->values;
      if (std::find(when.begin(), when.end(), value) == when.end()) continue;
      if (other.need != Need::with_condition) continue;
      const std::vector<std::string> some = values(other, other.fallback);
      if (other.zero) {  // by itself 0 may be, but not where it is needed
        needed.emplace_back(other.key, written(other, node_of(other.range->least * 2)));
      } else if (!some.empty()) {
        needed.emplace_back(other.key, some.front());
      }
    }
    return needed;
  }

  void check(const Field& field, const Node& present, const std::string& plain) const {
    const std::vector<std::string> tried = values(field, present);
    std::map<Settings, std::optional<std::string>> bases = {{{}, plain}};
    std::map<std::string, std::string> by_configuration = {{plain, "(not set)"}};
    int accepted = 0;
    const bool is_number = field.quantity != Quantity::choice && field.quantity != Quantity::capacity;
    for (const std::string& value : tried) {
      if (is_number && accepted == 2) break;
      for (Settings settings : companies(field, value)) {
        if (!bases.contains(settings)) bases[settings] = resolved(settings);
        const std::optional<std::string> base = bases[settings];
        settings.emplace_back(field.key, value);
        const std::optional<std::string> configuration = resolved(settings);
        if (!configuration) continue;
        ++accepted;
        if (base) {
          EXPECT_NE(*base, *configuration) << root << field.key << "=" << value << " changes nothing";
        }
        const auto [same, is_new] = by_configuration.emplace(*configuration, value);
        EXPECT_TRUE(is_new) << root << field.key << ": " << value << " and " << same->second
                            << " give the same";
        break;
      }
    }
    const bool is_one_of_two =
        field.quantity == Quantity::count && field.range && field.range->most - field.range->least == 1;
    const int least = field.quantity == Quantity::flag || is_one_of_two ? 1 : 2;
    EXPECT_GE(accepted, field.quantity == Quantity::choice ? static_cast<int>(tried.size()) : least)
        << root << field.key << ": values were refused that its description allows";
  }

  void check_all() const {
    const Spec spec = load({});
    const std::string plain = resolve({});
    for (const auto& [field, value, read] : fields.entries()) {
      if (field.is_settable) {
        // A parameter of a part that is not chosen has no value yet.
        const Node present = value(spec);
        check(field, present.kind == Node::Kind::null ? field.fallback : present, plain);
      } else {
        EXPECT_FALSE(resolved({{field.key, "1"}})) << field.key;
        EXPECT_FALSE(resolved({{field.key + ".gpu", "1"}})) << field.key;
      }
    }
  }
};

TEST(ResolvedConfiguration, EveryKeyOfAPolicyChangesIt) {
  Keys<PolicySpec>{"policy.", policy_fields(),
                   [](const std::vector<Override>& set) { return load_policy("on-demand", set); },
                   resolved_policy}
      .check_all();
}

TEST(ResolvedConfiguration, EveryKeyOfAMachineChangesIt) {
  Keys<MachineSpec>{"machine.", machine_fields(),
                    [](const std::vector<Override>& set) { return load_machine("rtx4090-pcie4", set); },
                    resolved_machine}
      .check_all();
}

TEST(ResolvedConfiguration, EveryKeyOfASoftwareChangesIt) {
  Keys<SoftwareSpec>{"software.", software_fields(),
                     [](const std::vector<Override>& set) { return load_software("generic", set); },
                     [](const std::vector<Override>& set) {
                       RunConfiguration run;
                       run.model = load_model("olmoe-1b-7b");
                       run.machine = load_machine("rtx4090-pcie4", set);
                       run.software = load_software("generic", set);
                       return configuration_json(run)["software"].dump();
                     }}
      .check_all();
}

TEST(ResolvedConfiguration, EveryKeyOfServingChangesIt) {
  Keys<ServingSpec>{"serve.", serving_fields(),
                    [](const std::vector<Override>& set) { return load_serving(set); },
                    [](const std::vector<Override>& set) {
                      RunConfiguration run;
                      run.serving = load_serving(set);
                      return configuration_json(run)["serve"].dump();
                    }}
      .check_all();
}

/// Paths of the values of a tree that --set could give, and the values.
void collect(const Node& node, const std::string& path, std::vector<std::pair<std::string, Node>>& leaves) {
  if (node.kind == Node::Kind::table) {
    for (const Member& member : node.members)
      collect(member.value, path + (path.empty() ? "" : ".") + member.key, leaves);
  } else if (node.kind != Node::Kind::array) {
    leaves.emplace_back(path, node);
  }
}

/// Others of the same kind; a model of other numbers may be refused.
std::vector<std::string> others(const Node& node) {
  if (node.kind == Node::Kind::boolean) return {node.boolean ? "false" : "true"};
  if (node.kind == Node::Kind::real) return {std::to_string(node.real * 0.5)};
  if (node.kind == Node::Kind::text) return {"fp8", "grouped-query", "some text"};
  return {std::to_string(node.integer * 2), std::to_string(node.integer + 1),
          std::to_string(node.integer / 2)};
}

/// Keys of a config.json that describe nothing of this model as it is simulated.
const std::set<std::string> without_effect = {
    "laguna-xs.2: config.num_attention_heads",         // num_attention_heads_per_layer says it
    "llama-4-scout: config.intermediate_size_mlp",     // of dense layers, of which it has none
    "qwen3.8-flash-next: config.heads_per_ngram",      // of the n-gram embedding, which is left out
    "qwen3.8-flash-next: config.ngram_size",           // likewise
    "qwen3.8-flash-next: config.ple_conv_kernel_size"  // likewise
};

// A model's file may describe it by a config.json's keys, which differ by family: the keys that are tried are
// those that the catalogue's files have.
TEST(ResolvedConfiguration, EveryKeyOfTheCataloguesModelsChangesIt) {
  int changed = 0;
  for (const EmbeddedFile& file : embedded_models()) {
    const std::string name(file.name);
    const auto resolved = [&](const std::vector<Override>& set) -> std::optional<std::string> {
      RunConfiguration run;
      try {
        run.model = load_model(name, {}, set);
      } catch (const InputError&) {
        return std::nullopt;
      }
      return configuration_json(run)["model"].dump();
    };
    const std::string plain = resolved({}).value();
    std::vector<std::pair<std::string, Node>> leaves;
    collect(parse_toml_document(file.text, name), "", leaves);
    for (const auto& [path, node] : leaves) {
      for (const std::string& value : others(node)) {
        const std::optional<std::string> configuration =
            resolved({parse_override("model." + path + "=" + value)});
        if (!configuration) continue;
        EXPECT_EQ(*configuration == plain, without_effect.contains(name + ": " + path))
            << name << ": model." << path << "=" << value;
        ++changed;
        break;
      }
    }
  }
  EXPECT_GT(changed, 500);
}

}  // namespace
}  // namespace pregate::sim
