// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/expert_fit.hpp"

#include <algorithm>
#include <map>

namespace pregate::validation {

namespace {

/// Sums over the samples of one token count. A sample's weight is 1 / seconds^2; with x = experts / seconds
/// and u = 1 / seconds its relative error is fixed u + time x - 1.
struct Sums {
  double xx = 0, xu = 0, x = 0, uu = 0, u = 0;
  void add(const ExpertLayerSample& sample) {
    const double inverse = 1 / sample.seconds, experts = sample.experts * inverse;
    xx += experts * experts;
    xu += experts * inverse;
    x += experts;
    uu += inverse * inverse;
    u += inverse;
  }
};

}  // namespace

KernelTimes fit_expert_times(const std::vector<ExpertLayerSample>& samples) {
  std::map<int, Sums> by_tokens;
  for (const ExpertLayerSample& sample : samples) by_tokens[sample.tokens_each].add(sample);
  // Given `fixed`, time = (x - fixed xu) / xx for each token count; put into the normal equation of `fixed`.
  double numerator = 0, denominator = 0, scale = 0;
  for (const auto& [tokens, sums] : by_tokens) {
    numerator += sums.u - sums.x * sums.xu / sums.xx;
    denominator += sums.uu - sums.xu * sums.xu / sums.xx;
    scale += sums.uu;
  }
  // Where every token count was measured with one number of experts, nothing tells the two apart.
  const bool is_determined = denominator > 1e-9 * scale;
  double fixed = is_determined ? std::max(0.0, numerator / denominator) : 0;
  for (const auto& [tokens, sums] : by_tokens) fixed = std::min(fixed, 0.5 * sums.x / sums.xu);
  KernelTimes result;
  result.fixed = from_seconds(fixed);
  for (const auto& [tokens, sums] : by_tokens) {
    const Picoseconds time = from_seconds((sums.x - fixed * sums.xu) / sums.xx);
    result.points.push_back({tokens, std::max(Picoseconds{1}, time)});
  }
  return result;
}

}  // namespace pregate::validation
