// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <any>
#include <cstdio>

#include "models/error.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/policy/policy.hpp"
#include "sim/run/replay.hpp"
#include "validation/published/case.hpp"
#include "validation/published/routing_files.hpp"

namespace pregate::validation {

namespace {

struct Named {
  std::string published, eviction;
  std::any parameters;  ///< of the eviction
};

/// A row gives the capacity in MiB and hits of all phases and of decoding, or as a share of all experts and
/// hits of all, or in slots of each layer and hits of decoding.
struct Point {
  std::int64_t budget_mib = 0, slots = 0;
  double share_pct = 0;
  std::size_t policy = 0;
  double all = 0, decode = 0;  ///< hits, per cent
  [[nodiscard]] bool is_share() const { return budget_mib == 0 && slots == 0; }
  [[nodiscard]] bool has_all() const { return slots == 0; }
  [[nodiscard]] bool has_decode() const { return !is_share(); }
};

std::string share_text(double share_pct) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", share_pct);
  return text;
}

class ReplayExperiment final : public Experiment {
 public:
  ReplayExperiment(std::string trace, std::string file, std::vector<Named> policies,
                   std::vector<Point> points)
      : trace_(std::move(trace)),
        file_(std::move(file)),
        policies_(std::move(policies)),
        points_(std::move(points)) {}

  void evaluate(const DataFolder& data, CaseResult& result) const override {
    if (!data.has(trace_)) {
      const auto halves = std::count_if(points_.begin(), points_.end(),
                                        [](const Point& p) { return !p.has_all() || !p.has_decode(); });
      const auto rows = 2 * points_.size() - static_cast<std::size_t>(halves);
      result.skipped.push_back("all " + std::to_string(rows) + " rows need " + trace_);
      return;
    }
    const auto source = read_recording(data, trace_);
    for (std::size_t policy = 0; policy < policies_.size(); ++policy) {
      for (const Point& point : points_) {
        if (point.policy == policy) add(point, *source, result);
      }
    }
  }

  [[nodiscard]] std::vector<EnteredFigure> entered() const override {
    std::vector<EnteredFigure> figures;
    if (file_.empty()) return figures;
    for (const Point& point : points_) {
      if (point.slots > 0) continue;
      if (point.is_share()) {
        const std::vector<std::pair<std::string, std::string>> at = {
            {"share_pct", share_text(point.share_pct)}};
        figures.push_back({file_, {{at, 0, policies_[point.policy].published + "_hit_pct", 1}}, point.all});
        continue;
      }
      const std::vector<std::pair<std::string, std::string>> where = {
          {"budget_mib", std::to_string(point.budget_mib)}, {"policy", policies_[point.policy].published}};
      figures.push_back({file_, {{where, 0, "hit_pct_cum", 1}}, point.all});
      figures.push_back({file_, {{where, 0, "hit_pct_decode", 1}}, point.decode});
    }
    return figures;
  }

 private:
  void add(const Point& point, trace::StepSource& source, CaseResult& result) const {
    const Named& named = policies_[point.policy];
    PolicySpec policy;
    policy.cache.scope = point.slots > 0 ? CacheScope::layer : CacheScope::global;
    policy.cache.capacity.kind = point.slots > 0    ? CapacityKind::slots
                                 : point.is_share() ? CapacityKind::share
                                                    : CapacityKind::bytes;
    policy.cache.capacity.slots = point.slots;
    policy.cache.capacity.bytes = {point.budget_mib << 20};
    policy.cache.capacity.share = point.share_pct / 100;
    policy.cache.eviction = named.eviction;
    policy.cache.eviction_parameters = named.parameters;
    const sim::ReplayResult replayed = sim::replay(source, policy);
    const auto add_row = [&](const char* phases, double published, std::int64_t hits, std::int64_t accesses) {
      Row row;
      row.series = phases;
      row.metric = named.published + "_hit_percent";
      row.subject = point.slots > 0    ? std::to_string(point.slots) + " slots"
                    : point.is_share() ? share_text(point.share_pct) + " %"
                                       : std::to_string(point.budget_mib) + " MiB";
      row.variant = named.eviction;
      row.gated = named.published != "random";
      row.comparison = Comparison::points;
      row.published = published;
      row.predicted = accesses == 0 ? 0 : 100 * static_cast<double>(hits) / static_cast<double>(accesses);
      row.x =
          point.is_share() ? point.share_pct : static_cast<double>(std::max(point.budget_mib, point.slots));
      result.rows.push_back(row);
    };
    if (point.has_all()) add_row("all phases", point.all, replayed.hits, replayed.accesses);
    if (point.has_decode()) add_row("decode", point.decode, replayed.decode_hits, replayed.decode_accesses);
  }

  std::string trace_, file_;
  std::vector<Named> policies_;
  std::vector<Point> points_;
};

}  // namespace

std::unique_ptr<Experiment> read_replay_case(TableReader& top) {
  const std::string trace = top.text("trace"), file = top.text_or("file", "");
  std::vector<Named> policies;
  std::vector<std::string> names;
  for (TableReader& table : top.tables("policy")) {
    policies.push_back({table.text("published"), table.text("eviction"), {}});
    const cache::EvictionEntry& eviction =
        cache::eviction_registry().find(policies.back().eviction, table.where("eviction"));
    std::any& parameters = policies.back().parameters = eviction.parameters.defaults();
    for (const auto& [field, value, read] : eviction.parameters.entries()) {
      if (table.has(std::string(field.name()))) read(parameters, table, field);
    }
    names.push_back(policies.back().published);
    table.finish();
  }
  std::vector<Point> points;
  for (TableReader& table : top.tables("rows")) {
    Point point;
    const bool is_share = table.has("share_pct");
    if (is_share) {
      point.share_pct = table.number("share_pct");
      if (point.share_pct <= 0 || point.share_pct > 100)
        throw InputError(table.where("share_pct"), "is not a percentage of the experts");
    } else if (table.has("slots")) {
      point.slots = table.integer("slots", 1, 1 << 24);
    } else {
      point.budget_mib = table.integer("budget_mib", 1, 1 << 24);
    }
    const std::string policy = table.text("policy");
    const auto place = std::find(names.begin(), names.end(), policy);
    if (place == names.end()) {
      throw InputError(table.where("policy"), "'" + printable(policy) + "' is no [[policy]] of this case",
                       suggest(policy, names));
    }
    point.policy = static_cast<std::size_t>(place - names.begin());
    for (const auto& [key, value] : {std::pair{"all", &point.all}, std::pair{"decode", &point.decode}}) {
      if (value == &point.decode ? !point.has_decode() : !point.has_all()) continue;
      *value = table.number(key);
      if (*value < 0 || *value > 100) throw InputError(table.where(key), "is not a percentage");
    }
    table.finish();
    points.push_back(point);
  }
  if (points.empty()) throw InputError(top.where("rows"), "the case has no rows");
  return std::make_unique<ReplayExperiment>(trace, file, std::move(policies), std::move(points));
}

}  // namespace pregate::validation
