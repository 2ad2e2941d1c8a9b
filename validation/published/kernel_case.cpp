// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/cost/cost_model.hpp"
#include "validation/published/case.hpp"
#include "validation/published/case_reader.hpp"
#include "validation/published/fit.hpp"

namespace pregate::validation {

namespace {

enum class Quantity {
  experts,      ///< the fused expert layer, by tokens and activated experts
  projections,  ///< what a layer's attention part does without attending: products and norms, by tokens
};

struct Point {
  int tokens = 0, activated = 1;
  double us = 0;
};

struct Series {
  std::string name, file, metric;
  Quantity quantity = Quantity::experts;
  int entries_per_token = 1;
  std::vector<std::string> layers;  ///< of the raw file, summed; empty = one row a point
  std::vector<Point> points;
};

/// `rows`, or `us_by_tokens`: the times of 1, 2, 3, ... tokens with one activated expert.
void read_points(TableReader& table, Series& series) {
  const auto time = [](double us, const std::string& where) {
    if (!(us > 0 && us < 1e9)) throw InputError(where, "is not a time");
    return us;
  };
  if (const Node* times = table.find("us_by_tokens")) {
    for (const Node& item : times->items) {
      const double us = item.kind == Node::Kind::integer ? static_cast<double>(item.integer) : item.real;
      const int tokens = static_cast<int>(series.points.size()) + 1;
      series.points.push_back({tokens, 1, time(us, table.where("us_by_tokens"))});
    }
    return;
  }
  for (TableReader& entry : table.tables("rows")) {
    Point point;
    point.tokens = static_cast<int>(entry.integer("tokens", 1, 1 << 20));
    if (series.quantity == Quantity::experts) {
      point.activated = static_cast<int>(entry.integer("activated", 1, 4096));
      if (point.activated > point.tokens * series.entries_per_token) {
        throw InputError(entry.where("activated"), "more experts than routed entries");
      }
    }
    point.us = time(entry.number("us"), entry.where("us"));
    entry.finish();
    if (!series.points.empty() && series.points.back().tokens > point.tokens) {
      throw InputError(entry.where("tokens"), "rows are not in the order of tokens");
    }
    series.points.push_back(point);
  }
}

Series read_series(TableReader& table) {
  Series series;
  series.name = table.text("name");
  series.file = table.text_or("file", "");
  series.metric = table.text_or("metric", "calibrated_us");
  std::ignore = table.text("quantity");
  series.quantity = table.choice_or<Quantity>(
      "quantity", {{"experts", Quantity::experts}, {"projections", Quantity::projections}},
      Quantity::experts);
  if (series.quantity == Quantity::experts) {
    series.entries_per_token = static_cast<int>(table.integer("entries_per_token", 1, 256));
  }
  series.layers = read_texts(table, "layers");
  read_points(table, series);
  if (series.points.size() < 2) throw InputError(table.where("rows"), "at least two rows are needed");
  table.finish();
  return series;
}

/// Token counts whose rows are fitted: every second one, from the second.
std::set<int> fitted_tokens(const Series& series) {
  std::set<int> all, fitted;
  for (const Point& point : series.points) all.insert(point.tokens);
  bool second = false;
  for (const int tokens : all) {
    if (second) fitted.insert(tokens);
    second = !second;
  }
  return fitted;
}

double predict_us(const ModelSpec& model, const MachineSpec& machine, const Series& series,
                  const Point& point) {
  sim::CostModel costs(model, machine, PolicySpec{});
  const int stack = static_cast<int>(model.stacks.size()) - 1;
  const Stack& decoder = model.stacks.back();
  costs.begin_step({.model_stack = stack, .tokens = point.tokens, .sequences = point.tokens});
  const int layer_class = costs.layer_class(stack, moe_layers(decoder).front());
  constexpr double us_per_ms = 1000;
  if (series.quantity == Quantity::projections) {
    return costs.layer(layer_class).attention.milliseconds() * us_per_ms;
  }
  const int routed = point.tokens * series.entries_per_token;
  std::vector<std::uint32_t> tokens(static_cast<std::size_t>(point.activated));
  for (int entry = 0; entry < routed; ++entry) ++tokens[static_cast<std::size_t>(entry % point.activated)];
  return costs.experts(layer_class, tokens, static_cast<std::uint32_t>(routed), point.tokens, false)
             .milliseconds() *
         us_per_ms;
}

class KernelExperiment final : public Experiment {
 public:
  KernelExperiment(ModelSpec model, MachineSpec machine, std::vector<Series> series)
      : model_(std::move(model)), machine_(std::move(machine)), series_(std::move(series)) {}

  void evaluate(const DataFolder&, CaseResult& result) const override {
    for (const Series& series : series_) {
      const std::set<int> fitted = fitted_tokens(series);
      const MachineSpec calibrated = series.quantity == Quantity::experts
                                         ? with_table(series, fitted)
                                         : with_constants(series, fitted, result);
      for (const Point& point : series.points) {
        add(series, point, series.metric, fitted.contains(point.tokens) ? Role::calibrate : Role::predict,
            calibrated, true, result);
      }
      for (const Point& point : series.points) {
        add(series, point, "uncalibrated_us", Role::predict, machine_, false, result);
      }
    }
  }

  [[nodiscard]] std::vector<EnteredFigure> entered() const override {
    std::vector<EnteredFigure> figures;
    for (const Series& series : series_) {
      if (series.file.empty()) continue;
      const bool nanoseconds = series.file.find("layers.csv") != std::string::npos;
      const std::string column = nanoseconds ? "latency(ns)" : "time_us";
      const double scale = nanoseconds ? 1e-3 : 1;
      for (const Point& point : series.points) {
        EnteredFigure figure{series.file, {}, point.us};
        const std::string tokens = std::to_string(point.tokens);
        if (series.layers.empty()) {
          figure.cells.push_back(
              {{{"tokens", tokens}, {"activated_experts", std::to_string(point.activated)}},
               0,
               column,
               scale});
        }
        for (const std::string& layer : series.layers) {
          figure.cells.push_back(
              {{{nanoseconds ? "layer_name" : "layer", layer}, {nanoseconds ? "input" : "tokens", tokens}},
               0,
               column,
               scale});
        }
        figures.push_back(std::move(figure));
      }
    }
    return figures;
  }

 private:
  /// The fitted rows as the table that replaces the roofline.
  [[nodiscard]] MachineSpec with_table(const Series& series, const std::set<int>& fitted) const {
    MachineSpec machine = machine_;
    for (const Point& point : series.points) {
      if (!fitted.contains(point.tokens)) continue;
      machine.expert_kernel_table.push_back({point.tokens, point.activated, from_seconds(point.us * 1e-6)});
    }
    std::sort(machine.expert_kernel_table.begin(), machine.expert_kernel_table.end(),
              [](const ExpertKernelPoint& a, const ExpertKernelPoint& b) {
                return std::pair(a.tokens, a.activated_experts) < std::pair(b.tokens, b.activated_experts);
              });
    return machine;
  }

  /// Fixed time, memory and compute efficiency by least squares of the fitted rows' relative errors.
  [[nodiscard]] MachineSpec with_constants(const Series& series, const std::set<int>& fitted,
                                           CaseResult& result) const {
    MachineSpec machine = machine_;
    const auto set = [&](const std::vector<double>& values) {
      machine.overhead.attention = from_seconds(values[0] * 1e-6);
      machine.gpu.memory_efficiency = values[1];
      machine.gpu.compute_efficiency = values[2];
    };
    const std::vector<Unknown> unknowns = {{"overhead.attention", 10, 0, 1000},
                                           {"gpu.memory_efficiency", 0.8, 0.01, 1},
                                           {"gpu.compute_efficiency", 0.7, 0.01, 1}};
    const Fit fit = least_squares(unknowns, [&](const std::vector<double>& values) {
      set(values);
      std::vector<double> residuals;
      for (const Point& point : series.points) {
        if (fitted.contains(point.tokens)) {
          residuals.push_back(predict_us(model_, machine, series, point) / point.us - 1);
        }
      }
      return residuals;
    });
    set(fit.values);
    for (std::size_t i = 0; i < unknowns.size(); ++i) {
      result.constants.push_back(
          {unknowns[i].name, i == 0 ? "us" : "", "", series.name + ", fitted rows", fit.values[i]});
    }
    return machine;
  }

  void add(const Series& series, const Point& point, const std::string& metric, Role role,
           const MachineSpec& machine, bool gated, CaseResult& result) const {
    Row row;
    row.series = series.name;
    row.metric = metric;
    row.subject = std::to_string(point.tokens) + " tokens";
    if (series.quantity == Quantity::experts) row.variant = std::to_string(point.activated) + " experts";
    row.role = role;
    row.gated = gated;
    row.published = point.us;
    row.predicted = predict_us(model_, machine, series, point);
    row.x = point.tokens;
    result.rows.push_back(row);
  }

  ModelSpec model_;
  MachineSpec machine_;
  std::vector<Series> series_;
};

}  // namespace

std::unique_ptr<Experiment> read_kernel_case(TableReader& top) {
  const std::vector<Override> set = read_overrides(top);
  ModelSpec model = load_model(top.text("model_name"), {}, set);
  MachineSpec machine = load_machine(top.text("machine"), set);
  std::vector<Series> series;
  for (TableReader& table : top.tables("series")) {
    series.push_back(read_series(table));
    for (const Point& point : series.back().points) {
      if (point.activated > model.stacks.back().first_moe().experts) {
        throw InputError(table.where("rows"), "a row activates more experts than " + model.name + " has");
      }
    }
  }
  if (series.empty()) throw InputError(top.where("series"), "the case has no rows");
  return std::make_unique<KernelExperiment>(std::move(model), std::move(machine), std::move(series));
}

}  // namespace pregate::validation
