// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "models/error.hpp"
#include "traces/layout.hpp"
#include "traces/profile.hpp"
#include "traces/random.hpp"
#include "traces/synthetic.hpp"

namespace pregate::trace {

namespace {

/// A probability as a threshold for 32 random bits. Rounded to 2^-24, so that the last bits of a platform's
/// pow() do not reach the trace.
std::uint64_t threshold(double probability) {
  return static_cast<std::uint64_t>(std::llround(probability * 16777216.0)) << 8U;
}

/// One layer's popularity and how its choices are made.
class LayerChoice {
 public:
  LayerChoice(const LayerProfileParameters& parameters, std::uint64_t seed)
      : top_k_(static_cast<std::size_t>(parameters.layer.top_k)),
        repeat_(threshold(parameters.temporal_repeat)),
        follow_(threshold(parameters.cross_layer)),
        expert_of_rank_(static_cast<std::size_t>(parameters.layer.experts)) {
    std::iota(expert_of_rank_.begin(), expert_of_rank_.end(), std::uint16_t{0});
    Random random(seed);
    for (std::size_t i = expert_of_rank_.size(); i > 1; --i)
      std::swap(expert_of_rank_[i - 1], expert_of_rank_[random.below(static_cast<std::uint32_t>(i))]);
    const double share = parameters.active_share * static_cast<double>(expert_of_rank_.size());
    const std::size_t active =
        std::clamp(static_cast<std::size_t>(std::llround(share)), top_k_, expert_of_rank_.size());
    const std::vector<double> weights = popularity_weights(parameters);
    const double total =
        std::accumulate(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(active), 0.0);
    double sum = 0;
    for (std::size_t r = 0; r < active; ++r) cumulative_.push_back(threshold((sum += weights[r]) / total));
    cumulative_.back() = std::uint64_t{1} << 32U;
  }

  /// Another request's taste: each rank passes its expert on with this probability, to another such rank.
  void shift(double probability, Random& random) {
    moved_.clear();
    for (std::size_t r = 0; r < expert_of_rank_.size(); ++r)
      if (random.bits32() < threshold(probability)) moved_.push_back(r);
    for (std::size_t i = moved_.size(); i > 1; --i)
      std::swap(expert_of_rank_[moved_[i - 1]],
                expert_of_rank_[moved_[random.below(static_cast<std::uint32_t>(i))]]);
  }

  [[nodiscard]] std::size_t top_k() const { return top_k_; }
  [[nodiscard]] std::uint16_t expert(std::uint16_t popularity_rank) const {
    return expert_of_rank_[popularity_rank];
  }

  /// `ranks` holds the popularity ranks of the sequence's previous token (if `has_previous`) and receives
  /// this token's; `before` are those of this token in the previous MoE layer `layer_before`, empty in the
  /// first.
  void choose(Random& random, std::span<std::uint16_t> ranks, bool has_previous,
              const LayerChoice* layer_before, std::span<const std::uint16_t> before,
              std::vector<std::uint16_t>& previous) const {
    previous.assign(ranks.begin(), ranks.end());
    for (std::size_t slot = 0; slot < top_k_; ++slot) {
      const auto taken = [&](std::uint16_t rank) {
        return std::find(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(slot), rank) !=
               ranks.begin() + static_cast<std::ptrdiff_t>(slot);
      };
      std::uint16_t rank = 0;
      bool decided = false;
      if (has_previous && random.bits32() < repeat_) {
        rank = previous[slot];
        decided = !taken(rank);
      } else if (layer_before != nullptr && slot < before.size() && random.bits32() < follow_) {
        rank = at_quantile(layer_before->draw_within(before[slot], random));
        decided = !taken(rank);
      }
      for (int attempt = 0; !decided && attempt < 64; ++attempt) {
        rank = at_quantile(random.bits32());
        decided = !taken(rank);
      }
      // A steep popularity may keep hitting experts that are taken: the most popular free one it is.
      for (rank = decided ? rank : std::uint16_t{0}; !decided && taken(rank);) ++rank;
      ranks[slot] = rank;
    }
  }

  /// A quantile of this layer's popularity that belongs to `rank`.
  [[nodiscard]] std::uint64_t draw_within(std::uint16_t rank, Random& random) const {
    const std::uint64_t low = rank == 0 ? 0 : cumulative_[rank - 1U];
    return low + ((random.bits32() * (cumulative_[rank] - low)) >> 32U);
  }

 private:
  [[nodiscard]] std::uint16_t at_quantile(std::uint64_t quantile) const {
    // A rank that is too rare to be drawn has no width, and lies at the end of all.
    quantile = std::min(quantile, (std::uint64_t{1} << 32U) - 1);
    return static_cast<std::uint16_t>(std::upper_bound(cumulative_.begin(), cumulative_.end(), quantile) -
                                      cumulative_.begin());
  }

  std::size_t top_k_;
  std::uint64_t repeat_, follow_;
  std::vector<std::uint16_t> expert_of_rank_;
  std::vector<std::uint64_t> cumulative_;
  std::vector<std::size_t> moved_;
};

class Generator final : public StepSource {
 public:
  /// `load`: empty where all requests are as the profile says.
  Generator(const GeneratorProfile& profile, std::int64_t requests, std::uint64_t seed,
            std::vector<LoadRequest> load = {})
      : profile_(profile), load_(std::move(load)), seed_(seed) {
    validate_profile(profile, profile.name.empty() ? "profile" : profile.name);
    if (requests < 1)
      throw InputError("requests", std::to_string(requests) + " requests", "generate at least one");
    info_.model = profile.model;
    info_.stacks = profile.stacks;
    for (const auto& parameters : profile.layers) {
      info_.layers.push_back(parameters.layer);
      choices_.emplace_back(parameters, seed_of(seed, 0x6C61796572U, info_.layers.size()));
    }
    if (profile.popularity_shift > 0) shared_choices_ = choices_;
    layouts_ = layouts(info_);
    count(requests);
    info_.provenance = {{"format", "generated"},
                        {"profile", profile.name},
                        {"profile_source", profile.source},
                        {"seed", std::to_string(seed)}};
    rewind();
  }

  [[nodiscard]] const TraceInfo& info() const override { return info_; }

  bool next(Step& step) override {
    if (request_ == info_.requests) return false;
    if (index_ == 0) begin_request();
    step = {};
    step.request = request_;
    step.index = index_;
    step.first_of_request = index_ == 0;
    step.sequences = profile_.sequences;
    if (!load_.empty()) step.arrival_ns = load_[static_cast<std::size_t>(request_)].arrival_ns;
    std::int64_t at = index_;
    const int last_stack = static_cast<int>(info_.stacks.size()) - 1;
    const auto is_next = [&](bool present) { return present && at-- == 0; };
    int tokens = 1;
    if (is_next(profile_.encoder_tokens > 0)) {
      step.phase = Phase::encoder;
      tokens = profile_.encoder_tokens;
    } else if (is_next(prompt_ > 0)) {
      step.phase = Phase::prefill;
      step.stack = last_stack;
      tokens = prompt_;
    } else {
      step.phase = Phase::decode;
      step.stack = last_stack;
      step.position = prompt_ + static_cast<int>(at);
    }
    step.tokens = tokens * profile_.sequences;
    fill(static_cast<std::size_t>(step.stack), static_cast<std::size_t>(tokens));
    step.experts = experts_;
    if (++index_ == steps_a_request_) {
      index_ = 0;
      ++request_;
    }
    return true;
  }

  void rewind() override { request_ = index_ = 0; }

 private:
  /// Of one request.
  void set_lengths(int prompt, std::int64_t output) {
    prompt_ = prompt;
    steps_a_request_ = (profile_.encoder_tokens > 0 ? 1 : 0) + (prompt > 0 ? 1 : 0) + output;
  }

  void count_load() {
    info_.has_arrivals = true;
    info_.requests = static_cast<std::int64_t>(load_.size());
    for (const LoadRequest& request : load_) {
      info_.steps += (request.prompt_tokens > 0 ? 1 : 0) + request.output_tokens;
      info_.tokens += std::int64_t{request.prompt_tokens} + request.output_tokens;
    }
    info_.routed_entries = info_.tokens * layouts_.back().entries_a_token;
  }

  void count(std::int64_t requests) {
    if (!load_.empty()) return count_load();
    const std::int64_t encoder = profile_.encoder_tokens,
                       rest = profile_.prefill_tokens + std::int64_t{profile_.decode_steps};
    set_lengths(profile_.prefill_tokens, profile_.decode_steps);
    const std::int64_t entries =
        (encoder * layouts_.front().entries_a_token + rest * layouts_.back().entries_a_token) *
        profile_.sequences;
    if (entries > std::numeric_limits<std::int64_t>::max() / requests)
      throw InputError("requests",
                       std::to_string(requests) + " requests make more entries than can be counted");
    info_.requests = requests;
    info_.steps = steps_a_request_ * requests;
    info_.tokens = (encoder + rest) * profile_.sequences * requests;
    info_.routed_entries = entries * requests;
  }

  /// A request's choices depend on the seed and its number alone.
  void begin_request() {
    if (!load_.empty()) {
      const LoadRequest& request = load_[static_cast<std::size_t>(request_)];
      set_lengths(request.prompt_tokens, request.output_tokens);
    }
    random_ = Random(seed_of(seed_, 0x72657175657374U, static_cast<std::uint64_t>(request_)));
    ranks_.resize(choices_.size());
    started_.assign(info_.stacks.size(), false);
    if (profile_.popularity_shift > 0) {
      choices_ = shared_choices_;
      for (LayerChoice& choice : choices_) choice.shift(profile_.popularity_shift, random_);
    }
    for (std::size_t l = 0; l < choices_.size(); ++l)
      ranks_[l].assign(choices_[l].top_k() * static_cast<std::size_t>(profile_.sequences), 0);
  }

  /// The experts of one pass: sequence after sequence within a layer, each a chain over its tokens.
  void fill(std::size_t stack, std::size_t tokens) {
    const StackLayout& layout = layouts_[stack];
    const auto sequences = static_cast<std::size_t>(profile_.sequences);
    experts_.resize(static_cast<std::size_t>(layout.entries_a_token) * tokens * sequences);
    for (std::size_t s = 0; s < sequences; ++s)
      for (std::size_t t = 0; t < tokens; ++t) {
        std::size_t start = 0;
        std::span<const std::uint16_t> before;
        const LayerChoice* layer_before = nullptr;
        for (const int index : layout.layers) {
          const auto l = static_cast<std::size_t>(index);
          const std::size_t top_k = choices_[l].top_k();
          const auto ranks = std::span(ranks_[l]).subspan(s * top_k, top_k);
          choices_[l].choose(random_, ranks, started_[stack] || t > 0, layer_before, before, previous_);
          const std::size_t token = start + (s * tokens + t) * top_k;
          for (std::size_t r = 0; r < top_k; ++r) experts_[token + r] = choices_[l].expert(ranks[r]);
          before = ranks;
          layer_before = &choices_[l];
          start += top_k * tokens * sequences;
        }
      }
    started_[stack] = true;
  }

  GeneratorProfile profile_;
  std::vector<LoadRequest> load_;
  int prompt_ = 0;  ///< of the request at hand
  std::uint64_t seed_;
  TraceInfo info_;
  std::vector<StackLayout> layouts_;
  std::vector<LayerChoice> choices_;         ///< of the request at hand
  std::vector<LayerChoice> shared_choices_;  ///< before a request's shift
  Random random_{0};
  std::int64_t steps_a_request_ = 0, request_ = 0, index_ = 0;
  std::vector<std::vector<std::uint16_t>> ranks_;  ///< last choice of each layer, for each sequence
  std::vector<bool> started_;                      ///< whether the stack has seen a token of this request
  std::vector<std::uint16_t> experts_, previous_;
};

}  // namespace

std::unique_ptr<StepSource> generate(const GeneratorProfile& profile, std::int64_t requests,
                                     std::uint64_t seed) {
  return std::make_unique<Generator>(profile, requests, seed);
}

std::unique_ptr<StepSource> generate(const GeneratorProfile& profile, std::vector<LoadRequest> load,
                                     std::uint64_t seed) {
  if (profile.encoder_tokens > 0)
    throw InputError(
        "load", printable(profile.name) + " has an encoder: its requests have no prompt to be of a length",
        "a model without an encoder");
  if (load.empty()) throw InputError("load", "no requests");
  const auto requests = static_cast<std::int64_t>(load.size());
  return std::make_unique<Generator>(profile, requests, seed, std::move(load));
}

}  // namespace pregate::trace
