// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/sweep/crossings.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "sim/sweep/axis.hpp"

namespace pregate::sim {

namespace {

constexpr int probes = 8;         // as many machines as are timed side by side
constexpr double precise = 1e-3;  // of the value
constexpr int most_rounds = 12;
constexpr int most_borders = 16;  // that are searched for between two values

struct Probed {
  Measure at;
  std::string text;
  PolicyRates rates;
};

std::optional<std::size_t> fastest(const PolicyRates& rates) {
  const auto best = std::max_element(rates.begin(), rates.end());
  if (best == rates.end() || *best < 0) return std::nullopt;
  return static_cast<std::size_t>(best - rates.begin());
}

/// None is faster.
bool stays(std::optional<std::size_t> policy, const PolicyRates& rates) {
  const auto best = fastest(rates);
  return policy && best ? rates[*policy] == rates[*best] : policy == best;
}

/// To five digits: what people read and can set.
std::string rounded(double number, const std::string& unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%.5g", number);
  const auto exact = measure_of(text);
  return (exact ? plain_digits(exact->number) : std::string(text)) + unit;
}

std::vector<Probed> probes_between(const Probed& low, const Probed& high) {
  std::vector<Probed> places;
  double last = low.at.number;
  for (int i = 1; i <= probes; ++i) {
    const double share = static_cast<double>(i) / (probes + 1);
    const std::string text = rounded(low.at.number + share * (high.at.number - low.at.number), high.at.unit);
    const auto at = measure_of(text);
    if (!at || at->number <= last || at->number >= high.at.number) continue;
    last = at->number;
    places.push_back({*at, text, {}});
  }
  return places;
}

/// Moves `low`, where the policy stays the best, and `high`, where it does not, towards each other.
void narrow(std::optional<std::size_t> policy, Probed& low, Probed& high, const RatesAt& rates_at) {
  for (int round = 0; round < most_rounds; ++round) {
    if (high.at.number - low.at.number <= precise * std::abs(high.at.number)) return;
    std::vector<Probed> places = probes_between(low, high);
    if (places.empty()) return;
    std::vector<std::string> values;
    values.reserve(places.size());
    for (const Probed& place : places) values.push_back(place.text);
    std::vector<PolicyRates> rates = rates_at(values);
    if (rates.size() != places.size()) return;
    for (std::size_t i = 0; i < places.size(); ++i) places[i].rates = std::move(rates[i]);
    const auto first =
        std::find_if(places.begin(), places.end(), [&](const Probed& p) { return !stays(policy, p.rates); });
    if (first != places.end()) high = *first;
    if (first != places.begin()) low = *(first - 1);
  }
}

}  // namespace

bool are_ascending_numbers(const std::vector<std::string>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = measure_of(values[i]);
    if (!at) return false;
    if (i == 0) continue;
    const auto before = measure_of(values[i - 1]);
    if (before->unit != at->unit || before->number >= at->number) return false;
  }
  return !values.empty();
}

std::vector<Reign> find_reigns(const std::vector<std::string>& values, const std::vector<PolicyRates>& rates,
                               const RatesAt& rates_at) {
  const bool searches = are_ascending_numbers(values);
  std::vector<Reign> reigns;
  const auto begin = [&](const std::string& from, const PolicyRates& there) {
    const auto best = fastest(there);
    reigns.push_back({best, from, from, best ? there[*best] : 0});
  };
  begin(values.front(), rates.front());
  for (std::size_t i = 1; i < values.size(); ++i) {
    const auto place = [&](std::size_t of) {
      return Probed{searches ? *measure_of(values[of]) : Measure{}, values[of], rates[of]};
    };
    Probed low = place(i - 1);
    for (int border = 0; !stays(reigns.back().policy, rates[i]); ++border) {
      Probed high = place(i);
      if (searches && border < most_borders) narrow(reigns.back().policy, low, high, rates_at);
      reigns.back().to = low.text;
      begin(high.text, high.rates);
      low = high;
    }
    reigns.back().to = values[i];
  }
  return reigns;
}

}  // namespace pregate::sim
