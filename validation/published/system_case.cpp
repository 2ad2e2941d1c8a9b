// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "models/formats/apply_formats.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/serve/prompt_chunks.hpp"
#include "sim/simulate.hpp"
#include "traces/kept_steps.hpp"
#include "traces/locality.hpp"
#include "traces/synthetic.hpp"
#include "validation/published/forced_routing.hpp"
#include "validation/published/system_setup.hpp"

namespace pregate::validation {

namespace {

/// Another routing with gate weights, the same for every token: ModelRun::best_share.
class WeighedSource final : public trace::StepSource {
 public:
  WeighedSource(std::shared_ptr<trace::StepSource> of, double best_share, const std::string& where)
      : of_(std::move(of)), info_(of_->info()) {
    info_.has_weights = true;
    shares_.resize(static_cast<std::size_t>(info_.layers.front().top_k));
    for (const trace::TraceLayer& layer : info_.layers) {
      if (static_cast<std::size_t>(layer.top_k) != shares_.size())
        throw InputError(where, "best_share is for layers with as many experts a token");
    }
    double left = 1;
    for (float& share : shares_) {
      share = static_cast<float>(&share == &shares_.back() ? left : left * best_share);
      left -= left * best_share;
    }
  }
  [[nodiscard]] const trace::TraceInfo& info() const override { return info_; }
  bool next(trace::Step& step) override {
    if (!of_->next(step)) return false;
    weights_.resize(step.experts.size());
    for (std::size_t i = 0; i < weights_.size(); ++i) weights_[i] = shares_[i % shares_.size()];
    step.weights = weights_;
    return true;
  }
  void rewind() override { of_->rewind(); }

 private:
  std::shared_ptr<trace::StepSource> of_;
  std::vector<float> shares_, weights_;
  trace::TraceInfo info_;
};

void append(std::vector<Override>& to, const std::vector<Override>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// Rates of the rows; each is simulated once for the values of the constants that concern it.
class SystemRuns {
 public:
  explicit SystemRuns(const SystemSetup& setup) : setup_(setup) {}

  double tokens_per_s(std::size_t index, const std::vector<double>& values) {
    const SystemRow& row = setup_.rows[index];
    const System& system = setup_.systems[row.system];
    const ModelRun& model_run = setup_.runs[row.run];
    std::vector<Override> set = system.set;
    append(set, model_run.set);
    append(set, row.set);
    std::string key = std::to_string(index);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Constant& constant = setup_.constants[i];
      const auto& on = constant.systems;
      if (!on.empty() && std::find(on.begin(), on.end(), system.name) == on.end()) continue;
      for (const Constant::Target& target : constant.targets) {
        char text[64];
        std::snprintf(text, sizeof text, constant.unit.empty() ? "%.12g" : "%.12g %s",
                      values[i] * target.factor, constant.unit.c_str());
        set.push_back({target.path, text});
        key += "|" + target.path + "=" + text;
      }
    }
    if (const auto known = done_.find(key); known != done_.end()) return known->second;
    sim::SimulationOptions options;
    const PolicySpec policy = load_policy(row.policy, set);
    MachineSpec machine = load_machine(system.machine, set, system.host, system.software);
    std::string software = system.software.empty() ? machine.software : system.software;
    if (system.software.empty() && machine.calibration == "datasheet" && !policy.software.empty()) {
      software = policy.software;  // as `pregate simulate` does
      machine = load_machine(system.machine, set, system.host, software);
    }
    ModelSpec model = load_model(
        model_run.model, {.weights = model_run.weights, .dense_weights = model_run.dense_weights}, set);
    const std::string dense = dense_format_in_files(load_software(software, set), model.expert_format.name,
                                                    model_run.weights, model_run.dense_weights);
    if (!dense.empty() && model_run.dense_weights.empty()) store_rest_as(model, dense, "software.files");
    options.serving.prompt_chunk =
        row.prompt_chunk > 0 ? row.prompt_chunk : load_software(software, set).prompt_chunk;
    if (options.serving.prompt_chunk > 0) options.prompt_chunk = options.serving.prompt_chunk;
    if (row.prompt_chunk > 0 && machine.memory.reserved_tokens > 0)
      machine.memory.reserved_tokens = row.prompt_chunk;
    Routed& routed = routing(row.run, model, options.serving);
    const sim::SimulationResult result =
        sim::simulate(model, machine, policy, *routed.prepared, *routed.source, options);
    if (result.out_of_memory)
      throw InputError(row.row.subject + ", " + row.row.variant, result.out_of_memory_reason);
    return done_[key] = rate_of(row.quantity, model_run, result);
  }

 private:
  static double rate_of(RowQuantity quantity, const ModelRun& run, const sim::SimulationResult& result) {
    switch (quantity) {
      case RowQuantity::decode:
        return result.decode_tokens_per_second();
      case RowQuantity::prompt:
        return run.prompt * run.batch / result.before_decode.seconds();
      case RowQuantity::request:
        return result.tokens_per_second();
    }
    return 0;
  }

  struct Routed {
    std::shared_ptr<trace::StepSource> whole, source;  ///< `source` may be a cut of the other
    std::unique_ptr<sim::PreparedTrace> prepared;
  };
  /// Rows and what a fit tries read it again and again.
  static std::shared_ptr<trace::StepSource> kept(trace::KeptSteps::Open generate) {
    return trace::KeptSteps(std::move(generate)).reader();
  }
  /// Passes of a prompt are cut as `serving` says.
  Routed& routing(std::size_t run, const ModelSpec& model, const sim::ServingSpec& serving) {
    Routed& routed = routed_[{run, serving.prompt_chunk}];
    if (routed.source) return routed;
    const ModelRun& wanted = setup_.runs[run];
    constexpr std::uint64_t seed = 1;
    if (!wanted.locality.empty()) {
      const trace::RequestShape shape{.prompt_tokens = wanted.prompt, .output_tokens = wanted.decode_steps};
      trace::GeneratorProfile profile =
          trace::shaped_profile(model, trace::load_locality(wanted.locality), shape);
      profile.sequences = wanted.batch;
      routed.source =
          kept([&] { return std::shared_ptr<trace::StepSource>(trace::generate(profile, 1, seed)); });
    } else if (wanted.profile.empty()) {
      routed.source = forced_routing(model, {.batch = wanted.batch,
                                             .active = wanted.active,
                                             .encoder_tokens = 0,
                                             .decode_steps = wanted.decode_steps});
    } else {
      routed.source = trace::generate(trace::load_profile(wanted.profile), wanted.requests, seed);
    }
    if (wanted.best_share > 0)
      routed.source =
          std::make_shared<WeighedSource>(std::move(routed.source), wanted.best_share, wanted.name);
    if (serving.prompt_chunk > 0 && wanted.prompt > 0) {
      routed.whole = std::move(routed.source);
      routed.source = sim::cut_prompts(*routed.whole, serving.prompt_chunk);
    }
    routed.prepared = std::make_unique<sim::PreparedTrace>(*routed.source, model, wanted.name, serving);
    return routed;
  }

  const SystemSetup& setup_;
  std::map<std::pair<std::size_t, int>, Routed> routed_;  ///< by run and prompt chunk
  std::map<std::string, double> done_;
};

class SystemExperiment final : public Experiment {
 public:
  explicit SystemExperiment(SystemSetup setup) : setup_(std::move(setup)) {}

  void evaluate(const DataFolder&, CaseResult& result) const override {
    SystemRuns runs(setup_);
    const std::vector<double> values = calibrate(runs);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Constant& constant = setup_.constants[i];
      FittedConstant fitted{constant.unknown.name, constant.unit, constant.meaning, "", values[i]};
      for (const SystemRow& row : setup_.rows) {
        if (row.fixes == fitted.name)
          fitted.fixed_by = row.row.series + ", " + row.row.subject + ", " + row.row.variant;
      }
      result.constants.push_back(fitted);
    }
    for (std::size_t i = 0; i < setup_.rows.size(); ++i) {
      Row row = setup_.rows[i].row;
      row.predicted = runs.tokens_per_s(i, values);
      constexpr double met = 0.1;  // per cent
      if (row.role == Role::calibrate && std::abs(row.error()) > met) row.note += ", which no value does";
      result.rows.push_back(row);
    }
  }

  /// The sources give these figures in print only.
  [[nodiscard]] std::vector<EnteredFigure> entered() const override { return {}; }

 private:
  /// Constants that share a system are fitted together, others apart: a step that improves one machine must
  /// not pay for what it spoils on another.
  [[nodiscard]] std::vector<double> calibrate(SystemRuns& runs) const {
    std::vector<double> values;
    for (const Constant& constant : setup_.constants) values.push_back(constant.unknown.start);
    std::vector<bool> done(values.size());
    for (std::size_t first = 0; first < values.size(); ++first) {
      if (done[first]) continue;
      std::vector<std::size_t> group{first};
      for (std::size_t member = 0; member < group.size(); ++member) {
        done[group[member]] = true;
        for (std::size_t other = 0; other < values.size(); ++other) {
          if (done[other] || !share_system(setup_.constants[group[member]], setup_.constants[other]))
            continue;
          done[other] = true;
          group.push_back(other);
        }
      }
      fit(group, runs, values);
    }
    return values;
  }

  static bool share_system(const Constant& a, const Constant& b) {
    return a.systems.empty() || b.systems.empty() ||
           std::find_first_of(a.systems.begin(), a.systems.end(), b.systems.begin(), b.systems.end()) !=
               a.systems.end();
  }

  void fit(const std::vector<std::size_t>& group, SystemRuns& runs, std::vector<double>& values) const {
    std::vector<Unknown> unknowns;
    std::vector<std::size_t> rows;
    for (const std::size_t member : group) {
      unknowns.push_back(setup_.constants[member].unknown);
      for (std::size_t i = 0; i < setup_.rows.size(); ++i) {
        if (setup_.rows[i].fixes == unknowns.back().name) rows.push_back(i);
      }
    }
    const auto with = [&](const std::vector<double>& fitted) {
      std::vector<double> all = values;
      for (std::size_t i = 0; i < group.size(); ++i) all[group[i]] = fitted[i];
      return all;
    };
    values = with(least_squares(unknowns, [&](const std::vector<double>& fitted) {
                    std::vector<double> residuals;
                    residuals.reserve(rows.size());
                    for (const std::size_t row : rows) {
                      residuals.push_back(
                          runs.tokens_per_s(row, with(fitted)) / setup_.rows[row].row.published - 1);
                    }
                    return residuals;
                  }).values);
  }

  SystemSetup setup_;
};

}  // namespace

std::unique_ptr<Experiment> read_system_case(TableReader& top) {
  return std::make_unique<SystemExperiment>(read_system_setup(top));
}

}  // namespace pregate::validation
