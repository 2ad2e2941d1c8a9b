// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <unordered_set>

#include "models/error.hpp"
#include "traces/content_hash.hpp"
#include "traces/profile.hpp"
#include "traces/random.hpp"
#include "traces/reader.hpp"
#include "traces/statistics.hpp"
#include "traces/synthetic.hpp"

namespace pregate::trace {

namespace {

constexpr std::int64_t max_fit_tokens = 8192;

/// The first requests of a source that no earlier one equals, up to max_fit_tokens decode tokens (a first
/// request that is longer is cut).
class Excerpt final : public StepSource {
 public:
  explicit Excerpt(StepSource& source) : source_(source), info_(source.info()) {
    choose();
    info_.requests = static_cast<std::int64_t>(chosen_.size());
    info_.steps = info_.tokens = 0;
    rewind();
  }

  [[nodiscard]] const TraceInfo& info() const override { return info_; }
  [[nodiscard]] std::int64_t left_out() const { return left_out_; }

  bool next(Step& step) override {
    while (source_.next(step)) {
      const auto found = chosen_.find(step.request);
      if (found == chosen_.end()) continue;
      if (step.phase == Phase::decode && step.tokens > max_fit_tokens - decoded_) continue;
      if (step.phase == Phase::decode) decoded_ += step.tokens;
      step.request = static_cast<std::int64_t>(std::distance(chosen_.begin(), found));
      return true;
    }
    return false;
  }

  void rewind() override {
    source_.rewind();
    decoded_ = 0;
  }

 private:
  void choose() {
    std::unordered_set<std::string> known;
    std::int64_t request = -1, total = 0, of_request = 0;
    std::unique_ptr<ContentHash> hash;
    bool full = false;
    const auto finish = [&] {
      if (!hash) return;
      const bool repeats = !known.insert(hash->finish()).second;
      if (repeats) {
        ++left_out_;
      } else if (total == 0 || total + of_request <= max_fit_tokens) {
        chosen_.insert(request);
        total += of_request;
      } else {
        full = true;
      }
    };
    source_.rewind();
    Step step;
    while (!full && source_.next(step)) {
      if (step.first_of_request) {
        finish();
        hash = std::make_unique<ContentHash>(info_);
        request = step.request;
        of_request = 0;
      }
      hash->add(step);
      if (step.phase == Phase::decode) of_request += step.tokens;
    }
    if (!full) finish();
  }

  StepSource& source_;
  TraceInfo info_;
  std::set<std::int64_t> chosen_;
  std::int64_t left_out_ = 0, decoded_ = 0;
};

/// Shape of a typical request: the means, rounded.
void measure_shape(StepSource& source, GeneratorProfile& profile) {
  double requests = 0, sequences = 0, encoder = 0, prefill = 0, decode = 0;
  source.rewind();
  Step step;
  while (source.next(step)) {
    if (step.first_of_request) {
      requests += 1;
      sequences += step.sequences;
    }
    const double each = static_cast<double>(step.tokens) / step.sequences;
    if (step.phase == Phase::encoder) encoder += each;
    if (step.phase == Phase::prefill) prefill += each;
    if (step.phase == Phase::decode) decode += each;
  }
  source.rewind();
  const auto mean = [&](double sum) { return static_cast<int>(std::lround(sum / requests)); };
  profile.sequences = std::max(1, mean(sequences));
  profile.encoder_tokens = mean(encoder);
  profile.prefill_tokens = mean(prefill);
  profile.decode_steps = mean(decode);
}

/// The statistics that a fit works on, of each layer.
struct Moments {
  std::vector<double> distinct, entropy, overlap, cross;

  void add(const TraceStatistics& statistics) {
    const std::size_t n = statistics.layers.size();
    for (auto* values : {&distinct, &entropy, &overlap, &cross}) values->resize(n, 0);
    for (std::size_t l = 0; l < n; ++l) {
      distinct[l] += statistics.layers[l].distinct_experts;
      entropy[l] += statistics.layers[l].popularity_entropy;
      overlap[l] += statistics.layers[l].lag1_overlap;
      cross[l] += statistics.layers[l].cross_layer_repeat;
    }
  }

  void divide(double n) {
    for (auto* values : {&distinct, &entropy, &overlap, &cross})
      for (double& value : *values) value /= n;
  }
};

/// Generated traces as long as the fitted one, as the statistics of a sample depend on its length; averaged
/// over as many seeds as keep the noise of a short sample down, the same seeds each time.
Moments moments_of(const GeneratorProfile& profile, std::int64_t requests) {
  const std::int64_t entries = generate(profile, requests, 0)->info().routed_entries;
  const std::int64_t replicas = std::clamp<std::int64_t>(200'000 / std::max<std::int64_t>(1, entries), 1, 32);
  Moments moments;
  for (std::int64_t i = 0; i < replicas; ++i)
    moments.add(measure(*generate(profile, requests, seed_of(0x666974U, static_cast<std::uint64_t>(i)))));
  moments.divide(static_cast<double>(replicas));
  return moments;
}

/// Bisects one parameter of every layer at once until its statistic meets the target. `sign` is +1 when the
/// statistic grows with the parameter.
void bisect(GeneratorProfile& profile, std::int64_t requests, double LayerProfileParameters::*parameter,
            std::vector<double> Moments::*statistic, const std::vector<double>& target,
            const std::vector<bool>& fitted, const std::function<double(const TraceLayer&)>& low_of,
            double high, double sign) {
  std::vector<double> low, top(profile.layers.size(), high);
  for (const auto& layer : profile.layers) low.push_back(low_of(layer.layer));
  for (int round = 0; round < 9; ++round) {
    for (std::size_t l = 0; l < profile.layers.size(); ++l)
      if (fitted[l]) profile.layers[l].*parameter = (low[l] + top[l]) / 2;
    const Moments moments = moments_of(profile, requests);
    for (std::size_t l = 0; l < profile.layers.size(); ++l) {
      const bool too_low = sign * ((moments.*statistic)[l] - target[l]) < 0;
      (too_low ? low : top)[l] = (low[l] + top[l]) / 2;
    }
  }
  // The near side of the bracket: a count jumps between its ends, and this end is the one that reaches the
  // target.
  for (std::size_t l = 0; l < profile.layers.size(); ++l)
    if (fitted[l]) profile.layers[l].*parameter = top[l];
}

/// Over the layers that were fitted.
double mean_difference(const std::vector<double>& a, const std::vector<double>& b,
                       const std::vector<bool>& fitted) {
  double sum = 0, layers = 0;
  for (std::size_t l = 0; l < a.size(); ++l) {
    if (!fitted[l]) continue;
    sum += std::abs(a[l] - b[l]);
    layers += 1;
  }
  return layers > 0 ? sum / layers : 0;
}

std::string three_digits(double value) {
  std::string text = std::to_string(std::round(value * 1000) / 1000);
  return text.substr(0, text.find('.') + 4);
}

}  // namespace

GeneratorProfile fit_profile(StepSource& source, const std::string& name) {
  Excerpt excerpt(source);
  GeneratorProfile profile;
  profile.name = name;
  profile.model = source.info().model;
  profile.stacks = source.info().stacks;
  measure_shape(excerpt, profile);
  const TraceStatistics statistics = measure(excerpt);
  Moments target;
  target.add(statistics);
  const std::int64_t requests = excerpt.info().requests;

  std::vector<bool> all, sequential, follows;
  for (const LayerStatistics& measured : statistics.layers) {
    LayerProfileParameters parameters;
    parameters.layer = measured.layer;
    parameters.active_share =
        std::max(1, measured.distinct_experts) / static_cast<double>(measured.layer.experts);
    parameters.popularity_skew = 1;
    // Repeats from token to token and from layer to layer are of decode: an encoder's tokens come all at
    // once, and their order may not have been recorded.
    const bool decodes =
        measured.layer.stack == static_cast<int>(profile.stacks.size()) - 1 && profile.decode_steps > 0;
    parameters.temporal_repeat = decodes ? measured.lag1_overlap : 0;
    all.push_back(true);
    sequential.push_back(decodes);
    follows.push_back(decodes && !profile.layers.empty() &&
                      profile.layers.back().layer.stack == measured.layer.stack);
    profile.layers.push_back(parameters);
  }
  validate_profile(profile, name);

  const auto zero = [](const TraceLayer&) { return 0.0; };
  const auto least_share = [](const TraceLayer& layer) {
    return static_cast<double>(layer.top_k) / layer.experts;
  };
  for (int sweep = 0; sweep < 3; ++sweep) {
    bisect(profile, requests, &LayerProfileParameters::cross_layer, &Moments::cross, target.cross, follows,
           zero, 1, 1);
    bisect(profile, requests, &LayerProfileParameters::temporal_repeat, &Moments::overlap, target.overlap,
           sequential, zero, 1, 1);
    bisect(profile, requests, &LayerProfileParameters::active_share, &Moments::distinct, target.distinct, all,
           least_share, 1, 1);
    bisect(profile, requests, &LayerProfileParameters::popularity_skew, &Moments::entropy, target.entropy,
           all, zero, 8, -1);
  }
  const Moments reached = moments_of(profile, requests);
  profile.source =
      "fitted to " + std::to_string(requests) + " request(s), " + std::to_string(statistics.decode_tokens) +
      " decode tokens, of trace " + source.info().content_hash.substr(0, 16) +
      "; mean difference a layer: distinct experts " +
      three_digits(mean_difference(reached.distinct, target.distinct, all)) + ", popularity entropy " +
      three_digits(mean_difference(reached.entropy, target.entropy, all)) + ", lag-1 overlap " +
      three_digits(mean_difference(reached.overlap, target.overlap, sequential)) + ", cross-layer repeat " +
      three_digits(mean_difference(reached.cross, target.cross, follows));
  if (excerpt.left_out() > 0)
    profile.source +=
        "; " + std::to_string(excerpt.left_out()) + " request(s) that repeat an earlier one left out";
  source.rewind();
  return profile;
}

}  // namespace pregate::trace
