// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// One part of each kind, defined here: lists (which the pages take up), --set, the resolved configuration and
// the mechanism's name know it by what it says of itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/field_list.hpp"
#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/policy/policy_fields.hpp"
#include "sim/report/config_json.hpp"
#include "validation/published/mechanism.hpp"

namespace pregate::sim {
namespace {

using testing::HasSubstr;

struct Level {
  int level = 3;
};

template <class Entry>
Entry named_after(const std::string& kind) {
  Entry entry;
  entry.name = "own-" + kind;
  entry.help = "an own " + kind;
  entry.mechanism = "with its own " + kind;
  Fields<Level> fields;
  fields.add(kind + "_level", &Level::level, "level of the own " + kind, pregate::Range{1, 5, "from 1 to 5"});
  entry.parameters = PartParameters(fields);
  return entry;
}

const Parts& with_each() {
  static const Parts with_them = [] {
    Parts parts = built_in_parts();
    auto placement = named_after<PlacementEntry>("placement");
    placement.place = [](const std::any&, const Unplaced&, Placed&) {};
    parts.placements.add(std::move(placement));
    parts.admissions.add(named_after<AdmissionEntry>("admission"));
    auto predictor = named_after<PredictorEntry>("predictor");
    predictor.make = [](const std::any&, const ExpertMap&) -> std::unique_ptr<Predictor> { return nullptr; };
    parts.predictors.add(std::move(predictor));
    parts.prefetchers.add(named_after<PrefetcherEntry>("prefetcher"));
    parts.transfers.add(named_after<TransferEntry>("transfer"));
    auto service = named_after<MissServiceEntry>("service");
    service.make = [](const std::any&) -> std::unique_ptr<MissService> { return nullptr; };
    parts.miss_services.add(std::move(service));
    return parts;
  }();
  return with_them;
}

struct Kind {
  const char *name, *table, *key;
};
constexpr Kind part_kinds[] = {{"placement", "placement", "kind"}, {"admission", "cache", "admission"},
                               {"predictor", "lookahead", "kind"}, {"prefetcher", "prefetch", "kind"},
                               {"transfer", "transfer", "queue"},  {"service", "miss", "service"}};

PolicySpec chosen(const Kind& kind, const std::string& level = "") {
  const std::string table = std::string("policy.") + kind.table + ".", name = kind.name;
  std::vector<Override> set = {{"policy.cache.capacity", "2 slots"}, {table + kind.key, "own-" + name}};
  if (name == "prefetcher") set.push_back({"policy.lookahead.kind", "pre-gate"});
  if (!level.empty()) set.push_back({table + name + "_level", level});
  return load_policy("on-demand", set, {}, with_each());
}

TEST(OneOfEachKind, IsListed) {
  const std::string list = cli::field_list(policy_fields(with_each()));
  for (const Kind& kind : part_kinds) {
    const std::string name = kind.name;
    EXPECT_THAT(list, HasSubstr("own-" + name)) << name;
    EXPECT_THAT(list, HasSubstr("an own " + name)) << name;
    EXPECT_THAT(list, HasSubstr(std::string(kind.table) + "." + name + "_level")) << name;
    EXPECT_THAT(list, HasSubstr("level of the own " + name + " (from 1 to 5; only with " + kind.table + "." +
                                kind.key + " = own-" + name + ")"))
        << name;
  }
}

TEST(OneOfEachKind, IsReadAndCheckedAndInTheResolvedConfiguration) {
  for (const Kind& kind : part_kinds) {
    SCOPED_TRACE(kind.name);
    const std::string parameter = std::string(kind.name) + "_level";
    const auto json = [&](const std::string& level) {
      return policy_json(chosen(kind, level), policy_fields(with_each()))[kind.table];
    };
    EXPECT_EQ(json("")[kind.key], std::string("own-") + kind.name);
    EXPECT_EQ(json("")[parameter], 3);
    EXPECT_EQ(json("5")[parameter], 5);
    EXPECT_THROW(chosen(kind, "6"), InputError);
    try {
      const std::string key = std::string("policy.") + kind.table + "." + kind.key;
      load_policy("on-demand", std::vector<Override>{{key, std::string("own_") + kind.name}}, {},
                  with_each());
      FAIL();
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string("own-") + kind.name));
    }
  }
}

TEST(OneOfEachKind, NamesItsMechanism) {
  for (const Kind& kind : part_kinds)
    EXPECT_THAT(validation::mechanism_of(chosen(kind)), HasSubstr(std::string("with its own ") + kind.name));
}

}  // namespace
}  // namespace pregate::sim
