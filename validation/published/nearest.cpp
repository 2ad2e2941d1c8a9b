// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/nearest.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "models/error.hpp"

namespace pregate::validation {

namespace {

std::set<std::string> cases_of(const Rows& rows) {
  std::set<std::string> names;
  for (const Residual* row : rows) names.insert(row->published_case);
  return names;
}

/// The mechanism without what is added to it: "on-demand" of "on-demand, cached, swap".
std::string design_of(const std::string& mechanism) { return mechanism.substr(0, mechanism.find(',')); }

struct Nearest {
  Rows rows;
  std::string name;
  bool is_near = false;  ///< of the run's own GPU and mechanism, with its model or software
};

bool is_enough(const Rows& rows, std::size_t fewest_cases) {
  return rows.size() >= fewest_rows && cases_of(rows).size() >= fewest_cases;
}

template <class Keep>
Rows among(const Rows& rows, Keep&& keep) {
  Rows kept;
  for (const Residual* row : rows) {
    if (keep(*row)) kept.push_back(row);
  }
  return kept;
}

/// `known`: of the wanted basis.
Nearest nearest_rows(const Nearness& wanted, const Rows& known) {
  const bool has_software = !wanted.software.empty();
  const Rows same = among(known, [&](const Residual& row) { return row.software == wanted.software; });
  const bool knows_software = is_enough(same, 1);
  const Rows& all = knows_software ? same : known;
  const std::string software = has_software && knows_software ? " with this software" : "";
  const auto case_has_it = [&](const std::string& name) {
    return std::any_of(known.begin(), known.end(), [&](const Residual* row) {
      return row->published_case == name && row->model == wanted.model;
    });
  };
  Nearest nearest;
  nearest.rows = among(all, [&](const Residual& row) {
    return row.gpu == wanted.gpu && row.mechanism == wanted.mechanism && row.software == wanted.software &&
           (has_software || case_has_it(row.published_case));
  });
  nearest.is_near = is_enough(nearest.rows, 1);
  nearest.name = "this GPU and mechanism" + software;
  if (nearest.is_near) return nearest;
  const auto take = [&](const char* name, auto&& keep) {
    nearest.rows = among(all, keep);
    nearest.name = name + software;
    return is_enough(nearest.rows, 2);
  };
  const auto has_mechanism = [&](const Residual& row) { return row.mechanism == wanted.mechanism; };
  const auto has_kin = [&](const Residual& row) {
    return has_mechanism(row) && row.architecture == wanted.architecture && !wanted.architecture.empty() &&
           wanted.architecture != "other";
  };
  const auto has_design = [&](const Residual& row) {
    return design_of(row.mechanism) == design_of(wanted.mechanism);
  };
  if (take("this mechanism on GPUs of this architecture", has_kin)) return nearest;
  if (take("this mechanism", has_mechanism)) return nearest;
  if (take("this design", has_design)) return nearest;
  take("any mechanism", [](const Residual&) { return true; });
  return nearest;
}

/// Of errors, as logarithms of factors. The errors of n rows drawn from a uniform distribution span, on
/// average, (n - 1) / (n + 1) of it: by that the span is widened, in logarithms, since a rate can be off by a
/// factor either way.
struct Span {
  double middle = 0, half = 0;
};

Span span_of(const Rows& rows) {
  if (rows.size() < 2) throw InputError("residuals", "too few rows to judge by");
  const auto [least, most] = std::minmax_element(
      rows.begin(), rows.end(), [](const Residual* a, const Residual* b) { return a->percent < b->percent; });
  const auto n = static_cast<double>(rows.size());
  const double low = std::log1p((*least)->percent / 100), high = std::log1p((*most)->percent / 100);
  return {(low + high) / 2, (high - low) / 2 * (n + 1) / (n - 1)};
}

}  // namespace

bool case_has_model(std::span<const Residual> residuals, const std::string& name, const std::string& model) {
  return std::any_of(residuals.begin(), residuals.end(),
                     [&](const Residual& row) { return row.published_case == name && row.model == model; });
}

double widening_for(std::vector<double> needed) {
  if (needed.empty()) return 0;
  std::sort(needed.begin(), needed.end());
  constexpr double inside = 0.9;
  const auto rank =
      static_cast<std::size_t>(std::ceil(inside * static_cast<double>(needed.size() + 1) - 1e-9));
  return needed[std::min(rank, needed.size()) - 1];
}

void hold(const Rows& rows, double spread, double widening, sim::Confidence& confidence) {
  const Span span = span_of(rows);
  const auto [least, most] = std::minmax_element(
      rows.begin(), rows.end(), [](const Residual* a, const Residual* b) { return a->percent < b->percent; });
  confidence.rows = static_cast<int>(rows.size());
  confidence.least_percent = (*least)->percent;
  confidence.most_percent = (*most)->percent;
  confidence.cases.clear();
  for (const std::string& name : cases_of(rows)) {
    confidence.cases += (confidence.cases.empty() ? "" : ", ") + name;
  }
  const double half = span.half + widening + std::log1p(spread);
  confidence.least_factor = std::exp(-std::max(span.middle + half, 0.0));
  confidence.most_factor = std::exp(-std::min(span.middle - half, 0.0));
}

double spread_of_hosts(std::span<const Residual> residuals) {
  struct Mean {
    double sum = 0;
    int rows = 0;
  };
  std::map<std::string, Mean> by_case;
  for (const Residual& row : residuals) {
    if (row.basis != Basis::datasheet || row.software.empty() || design_of(row.mechanism) != "cpu-computed")
      continue;
    Mean& mean = by_case[row.published_case];
    mean.sum += std::log1p(row.percent / 100);
    ++mean.rows;
  }
  if (by_case.size() < 2) return 0;
  const auto cases = static_cast<double>(by_case.size());
  double sum = 0, squares = 0;
  for (const auto& [name, mean] : by_case) sum += mean.sum / mean.rows;
  for (const auto& [name, mean] : by_case) squares += std::pow(mean.sum / mean.rows - sum / cases, 2);
  return std::expm1(std::sqrt(squares / cases));
}

void hold_against_nearest(const Nearness& wanted, std::span<const Residual> residuals, double spread,
                          sim::Confidence& confidence, const Widening& widening) {
  const Nearest nearest =
      nearest_rows(wanted, select(residuals, [&](const Residual& row) { return row.basis == wanted.basis; }));
  confidence.nearest = nearest.name;
  hold(nearest.rows, spread, nearest.is_near ? widening.near : widening.far, confidence);
}

std::vector<Standing> standings(std::span<const Residual> residuals, Basis basis) {
  std::vector<Standing> result;
  const Rows all = select(residuals, [&](const Residual& row) { return row.basis == basis; });
  for (const Residual* left_out : all) {
    const Residual& row = *left_out;
    const Nearness wanted{basis, row.gpu, row.model, row.mechanism, row.software, row.architecture};
    const Rows rows = among(all, [&](const Residual& other) { return &other != &row; });
    const Rows cases =
        among(all, [&](const Residual& other) { return other.published_case != row.published_case; });
    Nearest nearest = nearest_rows(wanted, rows);
    if (!nearest.is_near && cases.size() >= 2) nearest = nearest_rows(wanted, cases);
    if (nearest.rows.size() < 2) continue;
    const Span span = span_of(nearest.rows);
    const double error = std::log1p(row.percent / 100);
    Standing standing{nearest.name, nearest.is_near, span.middle, span.half, 0};
    // The range is extended to the simulated rate itself: an error between it and the middle is inside.
    const bool is_between = (error >= 0 && error <= span.middle) || (error <= 0 && error >= span.middle);
    if (!is_between) standing.needed = std::max(0.0, std::abs(error - span.middle) - span.half);
    result.push_back(standing);
  }
  return result;
}

Evidence::Evidence(std::vector<Residual> residuals) : residuals_(std::move(residuals)) {
  for (const Basis basis :
       {Basis::calibrated, Basis::fitted_machine, Basis::datasheet, Basis::several_gpus}) {
    std::vector<double> near, far;
    for (const Standing& standing : standings(residuals_, basis))
      (standing.is_near ? near : far).push_back(standing.needed);
    widenings_[static_cast<std::size_t>(basis)] = {widening_for(near), widening_for(far)};
  }
}

const Widening& Evidence::widening(Basis basis) const { return widenings_[static_cast<std::size_t>(basis)]; }

}  // namespace pregate::validation
