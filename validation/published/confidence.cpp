// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/confidence.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "models/catalog.hpp"
#include "models/fields/choices.hpp"
#include "sim/cost/low_format.hpp"
#include "validation/published/described_hardware.hpp"
#include "validation/published/mechanism.hpp"

namespace pregate::validation {

namespace {

using sim::Confidence;

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
std::string why_uncalibrated(const RunFacts& run, const PolicySpec& policy) {
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
  if (!policy.placement.kind->keeps_all && policy.miss.service->uses_cpu) {
    return "experts on the CPU are measured alone at most, without a run's copies and kernels beside them";
  }
  const auto& formats = policy.formats;
  if (!policy.placement.kind->keeps_all &&
      (policy.miss.service->read_rate || policy.miss.service->uses_near_data || formats.copied < 1 ||
       formats.held > 0)) {
    return "reading over the link, near-data devices and parts of experts are priced by estimates, which "
           "pregate calibrate does not measure";
  }
  if (!policy.placement.kind->keeps_all && !formats.low.empty() &&
      !has_expert_times(machine.kernel_times, sim::in_low_format(run.model, policy))) {
    return "experts in " + formats.low + " are priced by estimates: calibrate with --low-weights " +
           formats.low;
  }
  return {};
}

/// Where a cache's hits come from a generator, errors of published rows say nothing about them.
std::string note_on_hits(const RunFacts& run, const std::string& mechanism) {
  const bool hits = run.generated_routing && mechanism.find(", cached") != std::string::npos;
  return hits ? "; the hits are the generated routing's, about which they say nothing" : "";
}

/// The rows that the machine was fitted on, each as a fit of all others predicts it, where they are of this
/// mechanism and batch and enough; `why_not` says what they lack otherwise.
std::vector<Residual> own_rows(const RunFacts& run, const std::string& mechanism, std::string& why_not) {
  constexpr std::size_t fewest_own_rows = 3;
  const FittedRates& fit = run.machine.fit;
  std::vector<Residual> all, same;
  const std::string& weights = run.model.expert_format.name;
  const bool has_model = std::any_of(fit.rows.begin(), fit.rows.end(), [&](const FittedRate& row) {
    return row.model == run.model.name && (row.weights.empty() || row.weights == weights);
  });
  int least = std::numeric_limits<int>::max(), most = 0;
  for (const FittedRate& row : fit.rows) {
    if (!row.left_out) continue;
    Residual residual;
    residual.published_case = fit.file;
    residual.model = row.model;
    residual.mechanism = row.mechanism;
    residual.percent = *row.left_out;
    if (row.mechanism == mechanism) {
      least = std::min(least, row.batch);
      most = std::max(most, row.batch);
      same.push_back(residual);
    }
    all.push_back(std::move(residual));
  }
  if (!has_model) {
    why_not = "no rate of " + fit.file + ", which the machine was fitted on, is of " + run.model.name +
              " with experts in " + weights;
  } else if (same.empty()) {
    why_not =
        "no rate of " + fit.file + ", which the machine was fitted on, is of this mechanism: " + mechanism;
  } else if (run.batch < least || run.batch > most) {
    why_not = "rates of this mechanism in " + fit.file + ", which the machine was fitted on, are of batch " +
              std::to_string(least) + " to " + std::to_string(most);
  } else if (all.size() < fewest_own_rows) {
    why_not = "the machine was fitted on " + std::to_string(fit.rows.size()) + " rates of " + fit.file +
              ": too few settings to tell how far off it is";
  } else {
    return same.size() >= fewest_rows ? same : all;
  }
  return {};
}

/// What the constants of a machine with rows of its own come from.
std::string fitted_on(const RunFacts& run) {
  const FittedRates& fit = run.machine.fit;
  return "its constants are fitted on " + std::to_string(fit.rows.size()) + " rates of " + fit.file;
}

/// Software that is described and runs as its description says; empty: none.
std::string software_of(const RunFacts& run) {
  const bool is_described = !run.software_changed && run.machine.software != load_software().name;
  return is_described ? run.machine.software : "";
}

/// Whether published rates of several GPUs are nearer to the run than those of one: of its software and
/// mechanism, on GPUs of its architecture, from which the way to the next one differs less than from none.
bool is_like_published_groups(const RunFacts& run, const std::string& mechanism, const Evidence& evidence) {
  const std::string software = software_of(run), architecture = name_of(run.machine.gpu.architecture);
  if (!run.shares_layers || run.machine.calibration != "datasheet" || software.empty()) return false;
  const Rows rows = select(evidence.residuals(), [&](const Residual& row) {
    return row.basis == Basis::several_gpus && row.mechanism == mechanism && row.software == software &&
           row.architecture == architecture;
  });
  return rows.size() >= fewest_rows;
}

}  // namespace

sim::Confidence confidence_in(const RunFacts& run, const PolicySpec& policy, const Evidence& evidence) {
  Confidence confidence;
  confidence.mechanism = mechanism_of(policy);
  const bool by_groups = run.several_gpus && is_like_published_groups(run, confidence.mechanism, evidence);
  const bool of_one = run.several_gpus && !by_groups;  // as if on one GPU, which it is not
  const bool other_hardware = !run.is_catalogue_machine && run.machine.calibration == "datasheet" &&
                              !is_hardware_of_catalogue(run.machine, !policy.placement.kind->keeps_all);
  const bool machine_changed =
      run.machine_changed || of_one || other_hardware || !run.machine.replaced_host.empty();
  if (of_one) {
    confidence.reason = "it runs on several GPUs: what stands behind its range are runs on one";
  } else if (!run.machine.replaced_host.empty()) {
    confidence.reason = "--host replaced the machine's host, so no measurement is about it";
  } else if (run.machine_changed) {
    confidence.reason = "--set machine.* changed the machine, so no measurement is about it";
  } else if (!run.machine.fit.rows.empty()) {
    const std::vector<Residual> own = own_rows(run, confidence.mechanism, confidence.reason);
    if (!own.empty()) {
      confidence.label = Confidence::Label::calibrated;
      confidence.reason = fitted_on(run) + note_on_hits(run, confidence.mechanism);
      confidence.nearest = "this machine";
      confidence.are_own = true;
      constexpr double repeats_within = 0.02;  // no measured rate is better known than that
      hold(select(own, [](const Residual&) { return true; }), repeats_within, 0, confidence);
      return confidence;
    }
  } else if (run.machine.calibration == "fitted") {
    const Rows rows = rows_of_the_case(run, confidence.mechanism, evidence.residuals(), confidence.reason);
    if (!rows.empty()) {
      confidence.label = Confidence::Label::published_case;
      confidence.reason = "its machine, models and mechanisms";
      const bool others = std::any_of(rows.begin(), rows.end(), [&](const Residual* row) {
        return row->mechanism != confidence.mechanism;
      });
      confidence.nearest = others ? "any mechanism" : confidence.mechanism;
      confidence.reason += note_on_hits(run, confidence.mechanism);
      const Widening& widening = evidence.widening(Basis::fitted_machine);
      hold(rows, 0, others ? widening.far : widening.near, confidence);
      return confidence;
    }
  } else {
    confidence.reason = why_uncalibrated(run, policy);
    if (confidence.reason.empty()) {
      confidence.label = Confidence::Label::calibrated;
      confidence.reason = "repeats differed by " + percent(run.machine.measured_spread) +
                          "; the ranges are of published systems, pregate validate measures this one" +
                          note_on_hits(run, confidence.mechanism) + note_on_large_passes(run);
    }
  }
  const bool calibrated = confidence.label == Confidence::Label::calibrated;
  const Basis basis = by_groups ? Basis::several_gpus : calibrated ? Basis::calibrated : Basis::datasheet;
  // Of another host nothing was measured: the rows above are of hosts that differ from each other.
  double spread = run.machine.measured_spread;
  const bool on_the_cpu = !policy.placement.kind->keeps_all && policy.miss.service->uses_cpu;
  if (!run.machine.replaced_host.empty() && on_the_cpu) {
    const double hosts = spread_of_hosts(evidence.residuals());
    spread = (1 + spread) * (1 + hosts) - 1;
    if (hosts > 0)
      confidence.reason +=
          "; the range is wider by " + percent(hosts) + " either way, as published hosts differ";
  }
  hold_against_nearest(
      {basis, machine_changed ? "" : run.machine.gpu.name, run.model_changed ? "" : run.model.name,
       confidence.mechanism, software_of(run), name_of(run.machine.gpu.architecture)},
      evidence.residuals(), spread, confidence, evidence.widening(basis));
  if (by_groups) confidence.nearest += ", on several GPUs";
  return confidence;
}

}  // namespace pregate::validation
