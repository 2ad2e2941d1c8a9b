// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/rates/fit_rates.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "models/error.hpp"
#include "validation/published/fit.hpp"

namespace pregate::validation {

namespace {

using Factors = std::vector<double>;  // one a constant of rate_constants()
using Indices = std::vector<std::size_t>;

constexpr double step = 0.02;  // of a factor, for sensitivities: a few per cent is what rates repeat within
constexpr double at_limit = 1e-4;

std::string names_of(const Indices& constants) {
  std::string names;
  for (const std::size_t index : constants)
    names += (names.empty() ? "" : ", ") + rate_constants()[index].name;
  return names;
}

class RateFitter {
 public:
  RateFitter(const MachineSpec& machine, const std::vector<double>& measured, const PredictRate& predict,
             const RateFitOptions& options)
      : machine_(machine), measured_(measured), predict_(predict), options_(options) {
    for (std::size_t i = 0; i < rate_constants().size(); ++i) {
      if (rate_constants()[i].value(machine) > 0) candidates_.push_back(i);
    }
  }

  RateFit fit() {
    Indices rows(measured_.size());
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    const Indices wanted = wanted_constants();
    Determined determined;
    const Factors factors = fit_on(rows, wanted, determined);
    require_all(wanted, determined);
    RateFit result;
    result.left = determined.left;
    result.machine = scaled(factors);
    for (const std::size_t index : determined.chosen) {
      const RateConstant& constant = rate_constants()[index];
      result.constants.push_back({index, constant.value(machine_), constant.value(result.machine),
                                  is_at_limit(index, factors[index])});
    }
    for (const std::size_t row : rows) {
      RateFit::Row figures{predicted(row, unchanged()), predicted(row, factors), std::nullopt};
      Indices others = rows;
      std::erase_if(others, [&](std::size_t other) { return setting(other) == setting(row); });
      if (!others.empty()) {
        report("leaving out row " + std::to_string(row + 1) + " of " + std::to_string(rows.size()));
        Determined without;
        figures.left_out = predicted(row, fit_on(others, wanted, without));
        if (predictions_.size() > most_kept) predictions_.clear();
      }
      result.rows.push_back(figures);
    }
    return result;
  }

 private:
  static constexpr std::size_t most_kept = 100'000;

  [[nodiscard]] std::size_t setting(std::size_t row) const {
    return options_.settings.empty() ? row : options_.settings[row];
  }
  void report(const std::string& stage) const {
    if (options_.progress) options_.progress(stage);
  }

  [[nodiscard]] static Factors unchanged() { return Factors(rate_constants().size(), 1.0); }

  [[nodiscard]] MachineSpec scaled(const Factors& factors) const {
    MachineSpec machine = machine_;
    for (const std::size_t index : candidates_) {
      if (factors[index] != 1) rate_constants()[index].scale(machine, factors[index]);
    }
    return machine;
  }

  double predicted(std::size_t row, const Factors& factors) {
    const auto [known, is_new] = predictions_.try_emplace({row, factors}, 0.0);
    if (is_new) {
      known->second = predict_(row, scaled(factors));
      if (!(known->second > 0) || !std::isfinite(known->second))
        throw InputError("calibration", "a predicted figure is not a number above 0");
    }
    return known->second;
  }

  [[nodiscard]] double most(std::size_t index) const {
    return most_factor(rate_constants()[index], machine_);
  }

  [[nodiscard]] bool is_at_limit(std::size_t index, double factor) const {
    return factor <= rate_constants()[index].least * (1 + at_limit) || factor >= most(index) * (1 - at_limit);
  }

  /// How the rows move at `factors`, downwards where a constant is at its most.
  Sensitivity sensitivity(const Indices& rows, const Factors& factors, const Indices& constants) {
    Sensitivity columns;
    for (const std::size_t index : constants) {
      Factors moved = factors;
      moved[index] *= factors[index] * (1 + step) > most(index) ? 1 - step : 1 + step;
      const double by = std::log(moved[index] / factors[index]);
      std::vector<double> column;
      column.reserve(rows.size());
      for (const std::size_t row : rows)
        column.push_back(std::log(predicted(row, moved) / predicted(row, factors)) / by);
      columns.push_back(std::move(column));
    }
    return columns;
  }

  Determined determine(const Indices& rows, const Factors& factors, const Indices& constants,
                       std::size_t most_constants) {
    Determined found = determined_by(sensitivity(rows, factors, constants), most_constants);
    for (std::size_t& chosen : found.chosen) chosen = constants[chosen];
    for (Determined::Left& left : found.left) {
      left.constant = constants[left.constant];
      if (left.like) left.like = constants[*left.like];
    }
    return found;
  }

  /// The factors of the constants that `rows` determine among `wanted` (or all); 1 for all others.
  Factors fit_on(const Indices& rows, const Indices& wanted, Determined& determined) {
    const Indices& among = wanted.empty() ? candidates_ : wanted;
    const std::size_t most_constants =
        wanted.empty() ? std::max<std::size_t>(1, rows.size() - 1) : rows.size();
    Factors factors = unchanged();
    determined = determine(rows, factors, among, most_constants);
    // Where the machine is far from what its file says, other constants may decide than did there.
    constexpr int most_rounds = 4;
    for (int round = 0; round < most_rounds; ++round) {
      factors = solve(rows, determined.chosen);
      Determined again = determine(rows, factors, among, most_constants);
      Indices now = again.chosen, before = determined.chosen;
      std::sort(now.begin(), now.end());
      std::sort(before.begin(), before.end());
      const bool is_settled = now == before;
      if (is_settled || round + 1 == most_rounds) {
        determined.left = is_settled ? again.left : determined.left;
        break;
      }
      determined = std::move(again);
    }
    return factors;
  }

  /// Least squares; a constant that ends at a limit stays there, and the others are fitted once more.
  Factors solve(const Indices& rows, Indices free) {
    Factors factors = unchanged();
    while (!free.empty()) {
      report("fitting " + names_of(free));
      std::vector<Unknown> unknowns;
      for (const std::size_t index : free)
        unknowns.push_back(
            {rate_constants()[index].name, factors[index], rate_constants()[index].least, most(index)});
      const Fit fit = least_squares(unknowns, [&](const std::vector<double>& values) {
        Factors at = factors;
        for (std::size_t i = 0; i < free.size(); ++i) at[free[i]] = values[i];
        std::vector<double> residuals;
        residuals.reserve(rows.size());
        for (const std::size_t row : rows) residuals.push_back(std::log(predicted(row, at) / measured_[row]));
        return residuals;
      });
      for (std::size_t i = 0; i < free.size(); ++i) factors[free[i]] = fit.values[i];
      const std::size_t before = free.size();
      std::erase_if(free, [&](std::size_t index) { return is_at_limit(index, factors[index]); });
      if (free.size() == before) break;
    }
    return factors;
  }

  [[nodiscard]] Indices wanted_constants() const {
    Indices wanted;
    std::vector<std::string> names;
    for (const RateConstant& constant : rate_constants()) names.push_back(constant.name);
    for (const std::string& name : options_.constants) {
      const auto found = std::find(names.begin(), names.end(), name);
      if (found == names.end())
        throw InputError("--constants", "no constant is named '" + printable(name) + "'",
                         suggest(name, names));
      const auto index = static_cast<std::size_t>(found - names.begin());
      if (std::find(candidates_.begin(), candidates_.end(), index) == candidates_.end())
        throw InputError("--constants", "the machine has no '" + name + "' to be fitted: it is 0");
      if (std::find(wanted.begin(), wanted.end(), index) == wanted.end()) wanted.push_back(index);
    }
    if (wanted.size() > measured_.size()) {
      throw InputError(
          "--constants",
          std::to_string(wanted.size()) + " constants, but " + std::to_string(measured_.size()) + " rows",
          "rows cannot fix more constants than they are");
    }
    return wanted;
  }

  static void require_all(const Indices& wanted, const Determined& determined) {
    if (wanted.empty() || determined.left.empty()) return;
    const Determined::Left& left = determined.left.front();
    const std::string name = rate_constants()[left.constant].name;
    throw InputError(
        "--constants",
        left.like ? "these rows cannot tell '" + name + "' from '" + rate_constants()[*left.like].name + "'"
                  : "no row moves with '" + name + "'",
        "leave it out, or add a row that depends on it otherwise than the rows that there are");
  }

  const MachineSpec& machine_;
  const std::vector<double>& measured_;
  const PredictRate& predict_;
  const RateFitOptions& options_;
  Indices candidates_;
  std::map<std::pair<std::size_t, Factors>, double> predictions_;
};

}  // namespace

double percent_off(double predicted, double measured) { return 100 * (predicted / measured - 1); }

RateFit fit_rates(const MachineSpec& machine, const std::vector<double>& measured, const PredictRate& predict,
                  const RateFitOptions& options) {
  return RateFitter(machine, measured, predict, options).fit();
}

}  // namespace pregate::validation
