// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/kernels/fit.hpp"

#include <nlopt.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "validation/kernels/kin.hpp"

namespace pregate::validation {
namespace {

struct Problem {
  KernelFamily family;
  std::span<const GpuRows> gpus;
  double choice;  ///< of a constant that is one
};

KernelConstants constants_at(const Problem& problem, const double* logarithms) {
  KernelConstants constants;
  std::size_t i = 0;
  for (const KernelConstant& constant : constants_of(problem.family)) {
    const double value = constant.choice ? problem.choice : std::exp(logarithms[i++]);
    constants.*constant.member = value * constant.unit;
  }
  return constants;
}

double loss(unsigned /*dimensions*/, const double* logarithms, double* /*gradient*/, void* data) {
  const auto& problem = *static_cast<const Problem*>(data);
  const KernelConstants constants = constants_at(problem, logarithms);
  double sum = 0;
  for (const GpuRows& each : problem.gpus) {
    double of_gpu = 0;
    const KernelConstants own = carried_over(problem.family, constants, *problem.gpus.front().gpu, *each.gpu);
    for (const MeasuredKernel& row : each.rows)
      of_gpu += std::abs(std::log(predicted_seconds(row, *each.gpu, own) / row.seconds));
    if (!each.rows.empty()) sum += of_gpu / static_cast<double>(each.rows.size());
  }
  return sum;
}

struct Fitted {
  KernelConstants constants;
  double loss = HUGE_VAL;
};

/// Where the search for a floor begins, as in the file: for kernels that were launched from Python at the
/// shortest, as a search does not come across the step from which on sim::launched_from_python holds.
double first_floor(const KernelConstant& constant, std::span<const MeasuredKernel> rows) {
  double least = HUGE_VAL;
  for (const MeasuredKernel& row : rows) {
    if (row.launched) least = std::min(least, row.seconds);
  }
  return std::isfinite(least) ? least / constant.unit : constant.start;
}

Fitted fitted(Problem problem) {
  std::vector<double> start, least, most;
  for (const KernelConstant& constant : constants_of(problem.family)) {
    if (constant.choice) continue;
    const bool floor = constant.member == &KernelConstants::floor_s;
    start.push_back(std::log(floor ? first_floor(constant, problem.gpus.front().rows) : constant.start));
    least.push_back(std::log(constant.least));
    most.push_back(std::log(constant.most));
  }
  std::vector<double> best = start;
  double best_loss = HUGE_VAL;
  const auto dimensions = static_cast<unsigned>(start.size());
  const auto descend = [&](nlopt_algorithm algorithm, std::vector<double> from) {
    const std::unique_ptr<nlopt_opt_s, void (*)(nlopt_opt)> optimiser(nlopt_create(algorithm, dimensions),
                                                                      nlopt_destroy);
    nlopt_set_min_objective(optimiser.get(), loss, &problem);
    nlopt_set_lower_bounds(optimiser.get(), least.data());
    nlopt_set_upper_bounds(optimiser.get(), most.data());
    nlopt_set_initial_step1(optimiser.get(), 0.4);
    nlopt_set_ftol_rel(optimiser.get(), 1e-6);
    nlopt_set_maxeval(optimiser.get(), 1200);
    double value = HUGE_VAL;
    if (nlopt_optimize(optimiser.get(), from.data(), &value) > 0 && value < best_loss) {
      best_loss = value;
      best = std::move(from);
    }
  };
  descend(NLOPT_LN_SBPLX, start);
  descend(NLOPT_LN_NELDERMEAD, best);
  descend(NLOPT_LN_SBPLX, best);
  return {constants_at(problem, best.data()), best_loss};
}

/// KernelConstants::packed where rows say it.
std::optional<double> said_by_most(std::span<const GpuRows> gpus) {
  std::map<double, std::size_t> rows;
  for (const GpuRows& each : gpus) {
    for (const MeasuredKernel& row : each.rows)
      if (row.packed) ++rows[*row.packed];
  }
  if (rows.empty()) return std::nullopt;
  return std::max_element(rows.begin(), rows.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

}  // namespace

KernelConstants fitted_constants(KernelFamily family, std::span<const GpuRows> gpus) {
  const auto constants = constants_of(family);
  const auto chooses = std::find_if(constants.begin(), constants.end(),
                                    [](const KernelConstant& each) { return each.choice; });
  if (chooses == constants.end()) return fitted({family, gpus, 0}).constants;
  if (const std::optional<double> said = said_by_most(gpus)) return fitted({family, gpus, *said}).constants;
  Fitted best;
  for (double choice = chooses->most; choice >= chooses->least; choice -= 1) {
    const Fitted one = fitted({family, gpus, choice});
    if (one.loss < best.loss) best = one;
  }
  return best.constants;
}

}  // namespace pregate::validation
