// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "models/error.hpp"
#include "traces/layout.hpp"
#include "traces/locality.hpp"
#include "traces/statistics.hpp"

namespace pregate::trace {

namespace {

constexpr std::int64_t least_steps = 64;

/// How alike the popularities of different requests are, and whether the ids of a token come sorted.
class Requests {
 public:
  explicit Requests(const TraceInfo& info, int stack) : stack_(stack) {
    for (const int index : info.layers_of(stack)) {
      const TraceLayer& layer = info.layers[static_cast<std::size_t>(index)];
      layers_.push_back(layer);
      const auto experts = static_cast<std::size_t>(layer.experts);
      counts_.emplace_back(experts, 0);
      sums_.emplace_back(experts, 0);
      squares_.push_back(0);
    }
  }

  void read(StepSource& source) {
    source.rewind();
    Step step;
    while (source.next(step)) {
      if (step.first_of_request) {
        finish();
        request_ = step.request;
      }
      if (step.phase != Phase::decode || step.stack != stack_) continue;
      tokens_ += step.tokens;
      std::size_t at = 0;
      for (std::size_t l = 0; l < layers_.size(); ++l) {
        const auto top_k = static_cast<std::size_t>(layers_[l].top_k);
        for (int t = 0; t < step.tokens; ++t, at += top_k) {
          const auto ids = step.experts.subspan(at, top_k);
          sorted_ = sorted_ && std::is_sorted(ids.begin(), ids.end());
          for (const std::uint16_t id : ids)
            if (id != no_expert) ++counts_[l][id];
        }
      }
    }
    finish();
    source.rewind();
  }

  [[nodiscard]] bool are_sorted() const { return sorted_; }
  [[nodiscard]] int long_enough() const { return requests_; }
  [[nodiscard]] std::int64_t longest() const { return longest_; }  ///< request of the most decode tokens

  /// Mean overlap of two tokens of different requests, over chance as excess_over_chance() has it.
  [[nodiscard]] double excess_between() const {
    double mean = 0;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      double together = 0;
      for (const double sum : sums_[l]) together += sum * sum;
      const double pairs = static_cast<double>(requests_) * (requests_ - 1);
      mean += excess_over_chance((together - squares_[l]) / pairs / layers_[l].top_k, layers_[l]);
    }
    return mean / static_cast<double>(layers_.size());
  }

 private:
  void finish() {
    const bool enough = tokens_ >= least_steps;
    if (tokens_ > most_tokens_) {
      most_tokens_ = tokens_;
      longest_ = request_;
    }
    requests_ += enough ? 1 : 0;
    for (std::size_t l = 0; l < layers_.size(); ++l)
      for (std::size_t e = 0; e < counts_[l].size(); ++e) {
        const double probability =
            enough ? static_cast<double>(counts_[l][e]) / static_cast<double>(tokens_) : 0;
        sums_[l][e] += probability;
        squares_[l] += probability * probability;
        counts_[l][e] = 0;
      }
    tokens_ = 0;
  }

  int stack_;
  std::vector<TraceLayer> layers_;
  std::vector<std::vector<std::int64_t>> counts_;
  std::vector<std::vector<double>> sums_;  ///< of the requests' probabilities to choose an expert
  std::vector<double> squares_;            ///< of the same, over requests and experts
  std::int64_t tokens_ = 0, request_ = 0, most_tokens_ = 0, longest_ = 0;
  int requests_ = 0;
  bool sorted_ = true;
};

/// The decode steps of one request of `source`, which must outlive it.
class OneRequest final : public StepSource {
 public:
  OneRequest(StepSource& source, std::int64_t request)
      : source_(source), info_(source.info()), request_(request) {
    info_.requests = 1;
  }
  [[nodiscard]] const TraceInfo& info() const override { return info_; }
  bool next(Step& step) override {
    while (source_.next(step))
      if (step.request == request_ && step.phase == Phase::decode) return true;
    return false;
  }
  void rewind() override { source_.rewind(); }

 private:
  StepSource& source_;
  TraceInfo info_;
  std::int64_t request_;
};

/// The probability with which a generated request of this shape has as much mutual information between layers
/// as `statistics`, of one request: of the same length, as the estimate grows when there are few tokens.
double fit_cross_layer(const TraceStatistics& statistics, const Locality& locality, int stack) {
  GeneratorProfile profile;
  profile.name = profile.source = "fit of cross_layer";
  profile.stacks = {statistics.info.stacks[static_cast<std::size_t>(stack)]};
  profile.decode_steps = static_cast<int>(std::min<std::int64_t>(statistics.decode_tokens, 8192));
  for (const LayerStatistics& each : statistics.layers) {
    if (each.layer.stack != stack) continue;
    LayerProfileParameters parameters{each.layer, 0, 0, 0, 1, 0};
    parameters.layer.stack = 0;
    if (!profile.layers.empty() && profile.layers.back().layer.experts == each.layer.experts &&
        profile.layers.back().layer.top_k == each.layer.top_k) {
      parameters = profile.layers.back();
      parameters.layer.layer = each.layer.layer;
    } else {
      fit_to_locality(parameters, locality);
    }
    profile.layers.push_back(parameters);
  }
  double low = 0, width = 1;
  for (int i = 0; i < 7; ++i) {
    width /= 2;
    for (std::size_t l = 1; l < profile.layers.size(); ++l) profile.layers[l].cross_layer = low + width;
    if (measure(*generate(profile, 1, 1)).cross_layer_repeat < statistics.cross_layer_repeat) low += width;
  }
  return low;
}

}  // namespace

Locality measure_locality(StepSource& source, const std::string& name, const std::string& where) {
  const TraceStatistics statistics = measure(source);
  int stack = -1;
  for (const LayerStatistics& layer : statistics.layers)
    if (layer.distant_overlap > 0) stack = layer.layer.stack;
  if (statistics.decode_tokens < least_steps || stack < 0)
    throw InputError(where, "has too few decode steps in a row to tell how local its routing is",
                     "a request of at least 64 decode steps is needed");
  Locality locality;
  locality.name = name;
  double layers = 0;
  for (const LayerStatistics& layer : statistics.layers) {
    if (layer.layer.stack != stack) continue;
    if (layer.mean_activated > layer.layer.top_k + 1e-9)
      throw InputError(where, "its steps hold several tokens", "a recording of single sequences is needed");
    locality.lag1_excess += excess_over_chance(layer.lag1_overlap, layer.layer);
    locality.distant_excess += excess_over_chance(layer.distant_overlap, layer.layer);
    layers += 1;
  }
  locality.lag1_excess = std::clamp(locality.lag1_excess / layers, 0.0, 1.0);
  locality.distant_excess = std::clamp(locality.distant_excess / layers, 0.0, locality.lag1_excess);
  Requests requests(source.info(), stack);
  requests.read(source);
  locality.source = "measured on trace " + source.info().content_hash.substr(0, 16) + ", " +
                    std::to_string(statistics.decode_tokens) + " decode tokens of " +
                    std::to_string(source.info().requests) + " request(s)";
  // Two requests both leave a rank's expert where it is with probability (1 - shift)^2.
  if (requests.long_enough() > 1 && locality.distant_excess > 0) {
    const double alike = std::clamp(requests.excess_between() / locality.distant_excess, 0.0, 1.0);
    locality.popularity_shift = 1 - std::sqrt(alike);
  } else {
    locality.source += "; one request does not tell how others differ: popularity_shift 0";
  }
  if (requests.are_sorted() && statistics.info.layers.front().top_k > 1) {
    locality.source += "; ids are sorted, so a token's first choice is not known: cross_layer 0";
  } else if (layers > 1) {
    OneRequest longest(source, requests.longest());
    locality.cross_layer = fit_cross_layer(measure(longest), locality, stack);
  }
  return locality;
}

}  // namespace pregate::trace
