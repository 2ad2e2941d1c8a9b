// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/sweep/points.hpp"

#include <algorithm>
#include <boost/random/sobol.hpp>
#include <charconv>
#include <numeric>
#include <random>
#include <set>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

/// In [0, 1), the same on every platform.
double share_of(std::uint64_t bits) { return static_cast<double>(bits >> 11U) * 0x1p-53; }

std::vector<double> latin_hypercube(std::int64_t samples, std::size_t axes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto count = static_cast<std::size_t>(samples);
  std::vector<double> shares(count * axes);
  std::vector<std::size_t> strata(count);
  for (std::size_t axis = 0; axis < axes; ++axis) {
    std::iota(strata.begin(), strata.end(), std::size_t{0});
    // std::shuffle may differ between libraries.
    for (std::size_t i = count; i > 1; --i) std::swap(strata[i - 1], strata[random() % i]);
    for (std::size_t i = 0; i < count; ++i) {
      const double within =
          (static_cast<double>(strata[i]) + share_of(random())) / static_cast<double>(count);
      shares[i * axes + axis] = std::min(within, 0x1.fffffffffffffp-1);
    }
  }
  return shares;
}

std::vector<double> sobol_sequence(std::int64_t samples, std::size_t axes) {
  boost::random::sobol sequence(axes);  // begins behind the corner
  std::vector<double> shares(static_cast<std::size_t>(samples) * axes);
  for (double& share : shares) share = share_of(sequence());
  return shares;
}

constexpr std::size_t most_sampled_axes = 100;

}  // namespace

Sampling parse_sampling(std::string_view text, std::uint64_t seed, const std::string& where) {
  if (text == "grid") return {.kind = Sampling::Kind::grid, .samples = 0, .seed = seed};
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const std::string_view number =
      colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  std::int64_t samples = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), samples);
  const bool counts =
      error == std::errc{} && end == number.data() + number.size() && samples >= 1 && samples <= most_points;
  if ((name != "lhs" && name != "sobol") || !counts) {
    throw InputError(where, "'" + printable(text) + "' is not a way to sample",
                     "valid: grid, lhs:N, sobol:N, with N from 1 to " + std::to_string(most_points));
  }
  return {
      .kind = name == "lhs" ? Sampling::Kind::lhs : Sampling::Kind::sobol, .samples = samples, .seed = seed};
}

std::string to_string(const Sampling& sampling) {
  switch (sampling.kind) {
    case Sampling::Kind::lhs:
      return "lhs:" + std::to_string(sampling.samples) + ", seed " + std::to_string(sampling.seed);
    case Sampling::Kind::sobol:
      return "sobol:" + std::to_string(sampling.samples);
    case Sampling::Kind::grid:
      break;
  }
  return "grid";
}

SweepPoints::SweepPoints(std::vector<Axis> crossed, std::vector<Axis> varied, const Sampling& sampling)
    : axes_(std::move(crossed)), crossed_(axes_.size()) {
  const std::size_t sampled = varied.size();
  std::move(varied.begin(), varied.end(), std::back_inserter(axes_));
  std::set<std::string> keys;
  for (const Axis& axis : axes_) {
    if (!keys.insert(axis.key).second)
      throw InputError("--vary", "'" + printable(axis.key) + "' is varied twice",
                       "give all its values at once");
  }
  const bool is_grid = sampling.kind == Sampling::Kind::grid;
  if (!is_grid && sampled == 0)
    throw InputError("--sample", "there is nothing to sample", "vary a key: --vary KEY=LO..HI");
  if (sampled > most_sampled_axes) throw InputError("--vary", "too many keys", "vary at most 100");
  const auto multiply = [&](std::int64_t by) {
    count_ *= by;  // both at most 10^6
    if (count_ > most_points)
      throw InputError("sweep", "more than " + std::to_string(most_points) + " points",
                       "give fewer values, or sample them: --sample sobol:200");
  };
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    if (!is_grid && i >= crossed_) break;
    if (axes_[i].values.empty())
      throw InputError("--vary " + printable(axes_[i].key), "the range does not say how many values",
                       "write :N behind it, or sample it: --sample sobol:200");
    multiply(static_cast<std::int64_t>(axes_[i].values.size()));
  }
  if (is_grid) return;
  samples_ = sampling.samples;
  multiply(samples_);
  shares_ = sampling.kind == Sampling::Kind::lhs ? latin_hypercube(samples_, sampled, sampling.seed)
                                                 : sobol_sequence(samples_, sampled);
}

std::vector<std::string> SweepPoints::at(std::int64_t point) const {
  std::vector<std::string> values(axes_.size());
  std::size_t last = axes_.size();
  if (samples_ > 0) {
    const auto sample = static_cast<std::size_t>(point % samples_);
    const std::size_t sampled = axes_.size() - crossed_;
    for (std::size_t i = 0; i < sampled; ++i)
      values[crossed_ + i] = axes_[crossed_ + i].at(shares_[sample * sampled + i]);
    point /= samples_;
    last = crossed_;
  }
  for (std::size_t i = last; i-- > 0;) {
    const auto size = static_cast<std::int64_t>(axes_[i].values.size());
    values[i] = axes_[i].values[static_cast<std::size_t>(point % size)];
    point /= size;
  }
  return values;
}

}  // namespace pregate::sim
