// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// docs/runtime.md says of every part of a policy whether a device executes it. The table is made here, from
// what the runtime refuses; with PREGATE_UPDATE_GOLDEN=1 it is written instead of compared.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "runtime/executable.hpp"
#include "sim/planner/plan.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/workload/trace_scan.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::runtime {
namespace {

/// Why a device does not execute it: as execute() says, or because there is one device and no other.
std::optional<std::string> why_refused(const PolicySpec& policy) {
  if (const auto why = why_not_executable(policy)) return why->why;
  if (!policy.placement.kind->place) return std::nullopt;
  pregate::test::ListSource source = pregate::test::random_source(1, 2, 4, 2, 1, 2, 2);
  const sim::PreparedTrace prepared(source, pregate::test::tiny_model(2, 4, 2), "test");
  try {
    sim::make_plan(policy, prepared.map(), prepared.scan(), sim::one_device_topology(), source,
                   sim::CountedExperts::all);
    return std::nullopt;
  } catch (const InputError& error) {
    const std::string text = error.what();
    return text.substr(0, text.find('\n'));
  }
}

class Table {
 public:
  void row(const std::string& key, const std::vector<std::pair<std::string, PolicySpec>>& parts) {
    std::string executed, refused;
    for (const auto& [name, policy] : parts) {
      const auto why = why_refused(policy);
      std::string& column = why ? refused : executed;
      column += (column.empty() ? "" : why ? "; " : ", ") + ("`" + name + "`") + (why ? ": " + *why : "");
    }
    text_ += "| `" + key + "` | " + executed + " | " + refused + " |\n";
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_ = "| key | executed | refused, and why |\n|---|---|---|\n";
};

template <class Entry, class Choose>
std::vector<std::pair<std::string, PolicySpec>> each_of(const sim::PartRegistry<Entry>& registry,
                                                        const Choose& choose_it) {
  std::vector<std::pair<std::string, PolicySpec>> parts;
  for (const Entry& entry : registry.entries()) {
    PolicySpec policy = load_policy("on-demand-cache");
    choose_it(policy, entry.name);
    parts.emplace_back(entry.name, policy);
  }
  return parts;
}

std::string executed_parts() {
  const sim::Parts& parts = sim::built_in_parts();
  Table table;
  table.row("placement.kind", each_of(parts.placements, [&](PolicySpec& policy, const std::string& name) {
              pregate::test::place(policy, name);
              if (name == "other-gpus") policy.placement.kind.set("count", "1");
            }));
  table.row("lookahead.kind", each_of(parts.predictors, [&](PolicySpec& policy, const std::string& name) {
              choose(policy.lookahead.predictor, parts.predictors, name);
            }));
  const auto predicting = [&](PolicySpec& policy) {
    choose(policy.lookahead.predictor, parts.predictors, "pre-gate");
  };
  table.row("prefetch.kind", each_of(parts.prefetchers, [&](PolicySpec& policy, const std::string& name) {
              predicting(policy);
              choose(policy.prefetch.prefetcher, parts.prefetchers, name);
            }));
  table.row("miss.service", each_of(parts.miss_services, [&](PolicySpec& policy, const std::string& name) {
              choose(policy.miss.service, parts.miss_services, name);
            }));
  std::vector<std::pair<std::string, PolicySpec>> evictions;
  for (const cache::EvictionEntry& entry : cache::eviction_registry().entries()) {
    PolicySpec policy = load_policy("on-demand-cache");
    policy.cache.eviction = entry.name;
    evictions.emplace_back(entry.name, policy);
  }
  table.row("cache.eviction", evictions);
  const auto with = [&](auto change) {
    PolicySpec policy = load_policy("on-demand-cache");
    predicting(policy);
    change(policy);
    return policy;
  };
  table.row("prefetch.wrong",
            {{"keep", with([](PolicySpec& p) { p.prefetch.wrong = WrongGuesses::keep; })},
             {"cancel", with([](PolicySpec& p) { p.prefetch.wrong = WrongGuesses::cancel; })}});
  table.row("lookahead.cost", {{"0", with([](PolicySpec&) {})},
                               {"more", with([](PolicySpec& p) { p.lookahead.cost = from_seconds(1); })}});
  table.row("cache.admission", each_of(parts.admissions, [&](PolicySpec& policy, const std::string& name) {
              choose(policy.cache.admission, parts.admissions, name);
            }));
  table.row("transfer.queue", each_of(parts.transfers, [&](PolicySpec& policy, const std::string& name) {
              predicting(policy);
              choose(policy.transfer.queue, parts.transfers, name);
            }));
  table.row("transfer.announced",
            {{"queued", with([](PolicySpec&) {})},
             {"one-layer", with([](PolicySpec& p) { p.transfer.announced = AnnouncedCopies::one_layer; })}});
  table.row("transfer.write_back",
            {{"none", with([](PolicySpec&) {})},
             {"swap", with([](PolicySpec& p) { p.transfer.write_back = WriteBack::swap; })},
             {"swap, and the CPU computes misses", with([&](PolicySpec& p) {
                p.transfer.write_back = WriteBack::swap;
                choose(p.miss.service, parts.miss_services, "compute-on-cpu");
              })}});
  table.row("compute.micro_batches", {{"1", with([](PolicySpec&) {})},
                                      {"more", with([](PolicySpec& p) { p.compute.micro_batches = 2; })}});
  table.row(
      "compute.synchronized",
      {{"never", with([](PolicySpec&) {})},
       {"micro-batch", with([](PolicySpec& p) { p.compute.synchronized = Synchronized::micro_batch; })}});
  table.row("compute.host_work",
            {{"0", with([](PolicySpec&) {})},
             {"more", with([](PolicySpec& p) { p.compute.host_work = from_seconds(1e-6); })}});
  table.row("kv_cache.memory", {{"gpu", with([](PolicySpec&) {})},
                                {"host", with([](PolicySpec& p) { p.kv_cache.memory = KvMemory::host; })}});
  table.row("kv_cache.repeated", {{"false", with([](PolicySpec&) {})},
                                  {"true", with([](PolicySpec& p) { p.kv_cache.repeated = true; })}});
  table.row("formats", {{"none", with([](PolicySpec&) {})},
                        {"low = q8_0", with([](PolicySpec& p) { p.formats.low = "q8_0"; })},
                        {"low = mxfp4", with([](PolicySpec& p) { p.formats.low = "mxfp4"; })},
                        {"low = q4_k", with([](PolicySpec& p) { p.formats.low = "q4_k"; })},
                        {"low = q2_k", with([](PolicySpec& p) { p.formats.low = "q2_k"; })},
                        {"copied", with([](PolicySpec& p) { p.formats.copied = 0.5; })},
                        {"held", with([](PolicySpec& p) { p.formats.held = 0.5; })},
                        {"cached", with([](PolicySpec& p) { p.formats.cached = 0.5; })}});
  const auto behind = [&](auto change) {
    return with([&](PolicySpec& p) {
      p.host_cache.capacity = parse_capacity("50%", "test");
      change(p.host_cache);
    });
  };
  using HostCache = PolicySpec::HostCache;
  table.row("host_cache", {{"capacity", behind([](HostCache&) {})},
                           {"exclusive", behind([](HostCache& held) { held.exclusive = true; })},
                           {"preload", behind([](HostCache& held) { held.preload = 1; })},
                           {"hit_rate", behind([](HostCache& held) {
                              held.eviction = "given-rate";
                              held.hit_rate = 0.5;
                            })}});
  std::vector<std::pair<std::string, PolicySpec>> policies;
  for (const std::string& name : policy_names()) policies.emplace_back(name, load_policy(name));
  table.row("--policy", policies);
  return table.text();
}

TEST(ExecutedParts, ThePageSaysWhatTheRuntimeSays) {
  const std::filesystem::path page = std::filesystem::path(PREGATE_SOURCE_DIR) / "docs" / "runtime.md";
  std::ifstream file(page);
  std::stringstream read;
  read << file.rdbuf();
  std::string text = read.str();
  const std::string head = "| key | executed | refused, and why |\n";
  const std::size_t begin = text.find(head);
  ASSERT_NE(begin, std::string::npos);
  const std::size_t end = text.find("\n\n", begin) + 1;
  const std::string made = executed_parts();
  if (std::getenv("PREGATE_UPDATE_GOLDEN") != nullptr) {
    text.replace(begin, end - begin, made);
    std::ofstream(page, std::ios::binary) << text;
  } else {
    EXPECT_EQ(text.substr(begin, end - begin), made) << "if this is meant, PREGATE_UPDATE_GOLDEN=1";
  }
}

}  // namespace
}  // namespace pregate::runtime
