// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/sweep_report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/report/text_table.hpp"

namespace pregate::cli {

namespace {

using Json = nlohmann::ordered_json;

/// The settings of a point, of axes that have several values.
std::string place_of(const SweepInputs& inputs, const std::string& settings_json) {
  const auto settings = Json::parse(settings_json, nullptr, false);
  if (!settings.is_object()) return {};
  std::string where;
  for (const auto& [key, value] : settings.items()) {
    const auto axis = std::find_if(inputs.points().axes().begin(), inputs.points().axes().end(),
                                   [&, name = key](const sim::Axis& of) { return of.key == name; });
    if (key == "policy" || axis == inputs.points().axes().end() || axis->values.size() == 1) continue;
    where += (where.empty() ? "" : ", ") + key + "=" + (value.is_string() ? value.get<std::string>() : "");
  }
  return where;
}

std::string name_of(const BestAlong& best, const sim::Reign& reign) {
  return reign.policy ? best.policies[*reign.policy] : "nothing runs";
}

std::string best_text(const BestAlong& best) {
  sim::TextTable table({"best policy", "from", "to", "tokens/s there"});
  for (const sim::Reign& reign : best.reigns)
    table.add({name_of(best, reign), reign.from, reign.to,
               reign.policy ? sim::three_digits(reign.rate_from) : "-"});
  return "\nalong " + best.axis + ":\n" + table.text();
}

Json best_json(const BestAlong& best) {
  Json json{{"axis", best.axis}, {"reigns", Json::array()}, {"crossings", Json::array()}};
  for (std::size_t i = 0; i < best.reigns.size(); ++i) {
    const sim::Reign& reign = best.reigns[i];
    const Json policy = reign.policy ? Json(best.policies[*reign.policy]) : Json();
    json["reigns"].push_back({{"policy", policy}, {"from", reign.from}, {"to", reign.to}});
    if (i == 0) continue;
    json["crossings"].push_back({{"after", best.reigns[i - 1].to},
                                 {"at", reign.from},
                                 {"from_policy", json["reigns"][i - 1]["policy"]},
                                 {"to_policy", policy},
                                 {"tokens_per_s", reign.policy ? Json(reign.rate_from) : Json()}});
  }
  return json;
}

}  // namespace

std::vector<std::string> axes_without_effect(const SweepInputs& inputs, const sim::SweepStore& store) {
  std::vector<std::string> keys;
  if (!inputs.points().is_grid()) return keys;
  std::int64_t stride = 1;
  const std::vector<sim::Axis>& axes = inputs.points().axes();
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    const auto values = static_cast<std::int64_t>(axis->values.size());
    // Keys of --vary have a dot; of traces, models and the like nobody expects that they matter.
    if (values > 1 && axis->key.find('.') != std::string::npos && store.is_the_same_along(stride, values))
      keys.insert(keys.begin(), axis->key);
    stride *= values;
  }
  return keys;
}

std::string sweep_text(const SweepInputs& inputs, const SweepReport& report) {
  sim::TextTable table({"policy", "points", "do not fit", "refused", "tokens/s from", "to"});
  std::string best;
  for (const sim::PolicySummary& each : report.policies) {
    const bool ran = !each.best.empty();
    table.add({each.policy, std::to_string(each.points), std::to_string(each.out_of_memory),
               std::to_string(each.refused), ran ? sim::three_digits(each.least) : "-",
               ran ? sim::three_digits(each.most) : "-"});
    if (!ran) continue;
    const std::string where = place_of(inputs, each.best);
    best += each.policy + ": " + sim::three_digits(each.most) + " tokens/s at " +
            (where.empty() ? "its only point" : where) + "\n";
  }
  std::string notes;
  for (const std::string& key : report.without_effect)
    notes += "note: " + key + " changes nothing here: all figures are the same with each of its values\n";
  return report.database + ": " + std::to_string(report.points) + " points\n\n" + table.text() +
         "All figures are simulated.\n\n" + best +
         (report.best_along ? best_text(*report.best_along) : std::string()) + notes;
}

std::string sweep_json(const SweepReport& report) {
  Json json{{"database", report.database}, {"points", report.points}, {"policies", Json::array()}};
  for (const sim::PolicySummary& each : report.policies) {
    const bool ran = !each.best.empty();
    const auto settings = Json::parse(each.best, nullptr, false);
    json["policies"].push_back({{"policy", each.policy},
                                {"points", each.points},
                                {"out_of_memory", each.out_of_memory},
                                {"refused", each.refused},
                                {"least_tokens_per_s", ran ? Json(each.least) : Json()},
                                {"most_tokens_per_s", ran ? Json(each.most) : Json()},
                                {"best", settings.is_object() ? settings : Json()}});
  }
  json["best_along"] = report.best_along ? best_json(*report.best_along) : Json();
  json["without_effect"] = report.without_effect;
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pregate::cli
