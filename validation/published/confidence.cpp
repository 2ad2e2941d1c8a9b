// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/confidence.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "validation/published/mechanism.hpp"

namespace pregate::validation {

namespace {

using sim::Confidence;
using Rows = std::vector<const Residual*>;

/// With fewer, the next row of the same kind lies outside of all of them more than one time in three:
/// 2 / (rows + 1).
constexpr std::size_t fewest_rows = 5;

template <class Keep>
Rows select(std::span<const Residual> residuals, Keep&& keep) {
  Rows rows;
  for (const Residual& residual : residuals) {
    if (keep(residual)) rows.push_back(&residual);
  }
  return rows;
}

std::set<std::string> cases_of(const Rows& rows) {
  std::set<std::string> names;
  for (const Residual* row : rows) names.insert(row->published_case);
  return names;
}

/// The mechanism without what is added to it: "on-demand" of "on-demand, cached, swap".
std::string design_of(const std::string& mechanism) { return mechanism.substr(0, mechanism.find(',')); }

bool case_has_model(std::span<const Residual> residuals, const std::string& name, const std::string& model) {
  return std::any_of(residuals.begin(), residuals.end(),
                     [&](const Residual& row) { return row.published_case == name && row.model == model; });
}

/// A calibrated machine knows the operations of the models that it was measured with; others it prices
/// without their launches.
bool has_unmeasured_operations(const MachineSpec& machine, const ModelSpec& model) {
  const auto is_missing = [&](const char* operation, const LayerProfile& layer) {
    return find_kernel_times(machine.kernel_times, kernel_key(operation, model, layer)) == nullptr;
  };
  for (const Stack& stack : model.stacks) {
    for (const LayerProfile& layer : model.profile(stack)) {
      if (!layer.moe && is_missing("dense-layer", layer)) return true;
      if (layer.moe && (is_missing("attention", layer) || is_missing("experts", layer))) return true;
    }
  }
  return false;
}

/// Tokens of the largest pass that a calibrated machine file has times of; 0 = of none.
int largest_measured_pass(const MachineSpec& machine) {
  int largest = 0;
  for (const KernelTimes& times : machine.kernel_times)
    largest = std::max(largest, times.points.back().tokens);
  return largest;
}

std::string note_on_large_passes(const RunFacts& run) {
  const int measured = largest_measured_pass(run.machine);
  if (run.largest_pass <= measured) return {};
  return "; passes of up to " + std::to_string(run.largest_pass) + " tokens go beyond the " +
         std::to_string(measured) + " that were measured and are extrapolated (calibrate with --max-tokens)";
}

std::string percent(double share) { return std::to_string(std::lround(100 * share)) + " %"; }

/// Rows of the published case that this run is one of; without them `why_not` says what it lacks.
Rows rows_of_the_case(const RunFacts& run, const std::string& mechanism, std::span<const Residual> residuals,
                      std::string& why_not) {
  Rows machine = select(residuals, [&](const Residual& row) {
    return row.basis == Basis::fitted_machine && row.machine == run.machine.name;
  });
  const auto refuse = [&why_not](const std::string& reason) {
    why_not = reason;
    return Rows{};
  };
  if (machine.empty() || !run.is_catalogue_machine) {
    return refuse("no published case was predicted with this fitted machine file");
  }
  const std::string fitted = "the machine was fitted for ";
  if (run.model_changed) return refuse(fitted + "the model as published, and --set or --weights changed it");
  std::erase_if(machine, [&](const Residual* row) {
    return !case_has_model(residuals, row->published_case, run.model.name);
  });
  if (machine.empty()) return refuse(fitted + "other software and models than " + run.model.name);
  Rows same;
  int least = std::numeric_limits<int>::max(), most = 0;
  for (const Residual* row : machine) {
    if (row->mechanism != mechanism) continue;
    same.push_back(row);
    least = std::min(least, row->batch);
    most = std::max(most, row->batch);
  }
  if (same.empty()) return refuse("no published rate on this machine is of this mechanism: " + mechanism);
  if (run.batch < least || run.batch > most) {
    return refuse("published rates of this mechanism are of batch " + std::to_string(least) + " to " +
                  std::to_string(most));
  }
  return same.size() >= fewest_rows ? same : machine;
}

/// Why a machine that no published case is about is an estimate; empty when it was calibrated for the run.
std::string why_uncalibrated(const RunFacts& run, const std::string& mechanism) {
  const MachineSpec& machine = run.machine;
  if (machine.calibration != "measured") {
    return "the machine file holds datasheet rates and guessed overheads, nothing measured";
  }
  if (has_unmeasured_operations(machine, run.model)) {
    return "the machine was not calibrated for " + run.model.name +
           ": its operations are priced by measured rates, without launches, which is too fast";
  }
  if (machine.measured_spread > most_measured_spread) {
    return "the machine file is NOISY: repeats of one measurement differed by " +
           percent(machine.measured_spread) + " when it was calibrated; measure it again on a quiet machine";
  }
  if (mechanism.find("cpu-computed") != std::string::npos ||
      mechanism.find("misses on the CPU") != std::string::npos) {
    return "experts on the CPU are priced by estimates, which pregate calibrate does not measure";
  }
  return {};
}

/// Where a cache's hits come from a generator, errors of published rows say nothing about them.
std::string note_on_hits(const RunFacts& run, const std::string& mechanism) {
  const bool hits = run.generated_routing && mechanism.find(", cached") != std::string::npos;
  return hits ? "; the hits are the generated routing's, about which they say nothing" : "";
}

Rows nearest_rows(const Nearness& wanted, std::span<const Residual> residuals, std::string& nearest) {
  struct Group {
    const char* name;
    std::size_t fewest_cases;
    std::function<bool(const Residual&)> holds;
  };
  const std::vector<Group> groups = {
      {"this GPU and mechanism", 1,
       [&](const Residual& row) {
         return row.gpu == wanted.gpu && row.mechanism == wanted.mechanism &&
                case_has_model(residuals, row.published_case, wanted.model);
       }},
      {"this mechanism", 2, [&](const Residual& row) { return row.mechanism == wanted.mechanism; }},
      {"this design", 2,
       [&](const Residual& row) { return design_of(row.mechanism) == design_of(wanted.mechanism); }},
  };
  for (const Group& group : groups) {
    Rows rows =
        select(residuals, [&](const Residual& row) { return row.basis == wanted.basis && group.holds(row); });
    if (rows.size() < fewest_rows || cases_of(rows).size() < group.fewest_cases) continue;
    nearest = group.name;
    return rows;
  }
  nearest = "any mechanism";
  return select(residuals, [&](const Residual& row) { return row.basis == wanted.basis; });
}

/// Fills rows, errors and factors. The errors of n rows drawn from a uniform distribution span, on average,
/// (n - 1) / (n + 1) of it: by that the span is widened, in logarithms, since a rate can be off by a factor
/// either way. The spread of a calibration comes on top, and the simulated rate itself is always inside.
void hold(const Rows& rows, double spread, Confidence& confidence) {
  if (rows.size() < 2) throw InputError("residuals", "too few rows to judge by");
  const auto [least, most] = std::minmax_element(
      rows.begin(), rows.end(), [](const Residual* a, const Residual* b) { return a->percent < b->percent; });
  confidence.rows = static_cast<int>(rows.size());
  confidence.least_percent = (*least)->percent;
  confidence.most_percent = (*most)->percent;
  confidence.cases.clear();
  for (const std::string& name : cases_of(rows)) {
    confidence.cases += (confidence.cases.empty() ? "" : ", ") + name;
  }
  const auto n = static_cast<double>(rows.size());
  const double low = std::log1p(confidence.least_percent / 100);
  const double high = std::log1p(confidence.most_percent / 100);
  const double middle = (low + high) / 2;
  const double half = (high - low) / 2 * (n + 1) / (n - 1) + std::log1p(spread);
  confidence.least_factor = std::exp(-std::max(middle + half, 0.0));
  confidence.most_factor = std::exp(-std::min(middle - half, 0.0));
}

}  // namespace

void hold_against_nearest(const Nearness& wanted, std::span<const Residual> residuals, double spread,
                          sim::Confidence& confidence) {
  hold(nearest_rows(wanted, residuals, confidence.nearest), spread, confidence);
}

sim::Confidence confidence_in(const RunFacts& run, const PolicySpec& policy,
                              std::span<const Residual> residuals) {
  Confidence confidence;
  confidence.mechanism = mechanism_of(policy);
  const bool machine_changed = run.machine_changed || !run.machine.replaced_host.empty();
  if (!run.machine.replaced_host.empty()) {
    confidence.reason = "--host replaced the machine's host, so no measurement is about it";
  } else if (run.machine_changed) {
    confidence.reason = "--set machine.* changed the machine, so no measurement is about it";
  } else if (run.machine.calibration == "fitted") {
    const Rows rows = rows_of_the_case(run, confidence.mechanism, residuals, confidence.reason);
    if (!rows.empty()) {
      confidence.label = Confidence::Label::published_case;
      confidence.reason = "its machine, models and mechanisms";
      const bool others = std::any_of(rows.begin(), rows.end(), [&](const Residual* row) {
        return row->mechanism != confidence.mechanism;
      });
      confidence.nearest = others ? "any mechanism" : confidence.mechanism;
      confidence.reason += note_on_hits(run, confidence.mechanism);
      hold(rows, 0, confidence);
      return confidence;
    }
  } else {
    confidence.reason = why_uncalibrated(run, confidence.mechanism);
    if (confidence.reason.empty()) {
      confidence.label = Confidence::Label::calibrated;
      confidence.reason = "repeats differed by " + percent(run.machine.measured_spread) +
                          "; the ranges are of published systems, pregate validate measures this one" +
                          note_on_hits(run, confidence.mechanism) + note_on_large_passes(run);
    }
  }
  const bool calibrated = confidence.label == Confidence::Label::calibrated;
  hold_against_nearest(
      {calibrated ? Basis::calibrated : Basis::datasheet, machine_changed ? "" : run.machine.gpu.name,
       run.model_changed ? "" : run.model.name, confidence.mechanism},
      residuals, run.machine.measured_spread, confidence);
  return confidence;
}

}  // namespace pregate::validation
