// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernels/element.hpp"

namespace pregate::kernels {

/// `count` values uniform in [-limit, limit], the same on every machine for a seed, rounded to Element.
template <class Element>
std::vector<Element> random_values(std::size_t count, std::uint32_t seed, float limit = 1.0F) {
  std::mt19937 random(seed);
  std::vector<Element> values(count);
  for (Element& value : values)
    value = from_float<Element>(limit * (static_cast<float>(random()) * 0x1p-31F - 1.0F));
  return values;
}

inline std::vector<std::int32_t> random_ids(std::size_t count, std::int32_t experts, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> ids(count);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(experts));
  return ids;
}

template <class Element>
std::vector<float> widened(const std::vector<Element>& values) {
  std::vector<float> wide;
  wide.reserve(values.size());
  for (const Element value : values) wide.push_back(to_float(value));
  return wide;
}

/// ||out - ref|| / ||ref|| (Euclidean; ||out|| where ref is zero). Infinite when one side alone is NaN or
/// infinite.
inline double relative_error(const std::vector<float>& out, const std::vector<float>& ref) {
  if (out.size() != ref.size()) return std::numeric_limits<double>::infinity();
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == ref[i] || (std::isnan(out[i]) && std::isnan(ref[i]))) {
      if (std::isfinite(ref[i])) size += std::pow(static_cast<double>(ref[i]), 2);
      continue;
    }
    if (!std::isfinite(out[i]) || !std::isfinite(ref[i])) return std::numeric_limits<double>::infinity();
    difference += std::pow(static_cast<double>(out[i]) - static_cast<double>(ref[i]), 2);
    size += std::pow(static_cast<double>(ref[i]), 2);
  }
  if (difference == 0) return 0;
  return std::sqrt(size > 0 ? difference / size : difference);
}

}  // namespace pregate::kernels
