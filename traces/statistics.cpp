// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/statistics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "traces/layout.hpp"

namespace pregate::trace {

namespace {

/// How often each pair of first choices occurred; dense where the trace's pairs are few enough, else hashed.
class PairCounts {
 public:
  PairCounts(int before, int here, bool dense) : here_(static_cast<std::size_t>(here)) {
    if (dense) dense_.assign(static_cast<std::size_t>(before) * here_, 0);
  }

  void add(std::uint16_t before, std::uint16_t here) {
    const std::size_t key = before * here_ + here;
    if (dense_.empty()) {
      ++sparse_[key];
    } else {
      ++dense_[key];
    }
  }

  /// Mutual information of the two over the entropy of the second; 0 when the second never varies.
  [[nodiscard]] double repeat() const {
    // In the order of the keys, so that the sums do not depend on a hash.
    std::vector<std::pair<std::size_t, std::int64_t>> pairs;
    for (std::size_t key = 0; key < dense_.size(); ++key)
      if (dense_[key] > 0) pairs.emplace_back(key, dense_[key]);
    for (const auto& [key, count] : sparse_) pairs.emplace_back(key, count);
    std::sort(pairs.begin(), pairs.end());
    std::vector<double> before, here(here_, 0);
    double total = 0;
    for (const auto& [key, count] : pairs) {
      if (before.size() <= key / here_) before.resize(key / here_ + 1, 0);
      before[key / here_] += static_cast<double>(count);
      here[key % here_] += static_cast<double>(count);
      total += static_cast<double>(count);
    }
    double information = 0, entropy = 0;
    for (const auto& [key, count] : pairs) {
      const auto n = static_cast<double>(count);
      information += n / total * std::log(n * total / (before[key / here_] * here[key % here_]));
    }
    for (const double n : here)
      if (n > 0) entropy -= n / total * std::log(n / total);
    return entropy > 1e-12 ? std::clamp(information / entropy, 0.0, 1.0) : 0;
  }

 private:
  std::size_t here_;
  std::vector<std::int64_t> dense_;
  std::unordered_map<std::size_t, std::int64_t> sparse_;
};

/// Overlap of each step's set with those of the steps 17 to 48 before it in the same request.
class DistantOverlap {
 public:
  explicit DistantOverlap(int experts) : in_window_(static_cast<std::size_t>(experts), 0) {}

  void begin_request() {
    std::fill(in_window_.begin(), in_window_.end(), 0);
    step_ = 0;
  }

  void add(const std::vector<std::uint16_t>& set) {
    constexpr std::size_t nearest = 17, farthest = 48;
    if (step_ >= nearest)
      for (const std::uint16_t id : recent_[(step_ - nearest) % recent_.size()]) ++in_window_[id];
    std::vector<std::uint16_t>& oldest = recent_[step_ % recent_.size()];  // of farthest + 1 steps before
    if (step_ > farthest)
      for (const std::uint16_t id : oldest) --in_window_[id];
    if (step_ >= nearest && !set.empty()) {
      double shared = 0;
      for (const std::uint16_t id : set) shared += in_window_[id];
      sum_ += shared / static_cast<double>(set.size());
      pairs_ += static_cast<double>(std::min(step_, farthest) - nearest + 1);
    }
    oldest = set;
    ++step_;
  }

  [[nodiscard]] double mean() const { return pairs_ > 0 ? sum_ / pairs_ : 0; }

 private:
  std::array<std::vector<std::uint16_t>, 49> recent_;
  std::vector<int> in_window_;  ///< sets of the window that hold each id
  std::size_t step_ = 0;
  double sum_ = 0, pairs_ = 0;
};

/// Selections of one layer in one kind of step: decode steps, or all other passes.
class Selections {
 public:
  Selections(int experts, int experts_before, bool dense)
      : counts_(static_cast<std::size_t>(experts), 0),
        seen_(static_cast<std::size_t>(experts), 0),
        distant_(experts) {
    if (experts_before > 0) pairs_.emplace_back(experts_before, experts, dense);
  }

  void begin_request() {
    clock_ += 2;
    distant_.begin_request();
  }

  /// `before` are the ids of the previous MoE layer of the stack, empty for the first.
  void add(std::span<const std::uint16_t> ids, int top_k, std::span<const std::uint16_t> before,
           int top_k_before) {
    const std::int64_t now = clock_ + 1;
    int distinct = 0, kept = 0;
    set_.clear();
    for (const std::uint16_t id : ids) {
      if (id == no_expert) continue;
      ++counts_[id];
      if (seen_[id] == now) continue;
      if (seen_[id] == clock_) ++kept;
      seen_[id] = now;
      set_.push_back(id);
      ++distinct;
    }
    if (!pairs_.empty())
      for (std::size_t t = 0; t * static_cast<std::size_t>(top_k) < ids.size(); ++t) {
        const std::uint16_t here = ids[t * static_cast<std::size_t>(top_k)];
        const std::uint16_t there = before[t * static_cast<std::size_t>(top_k_before)];
        if (here != no_expert && there != no_expert) pairs_.front().add(there, here);
      }
    clock_ = now;
    distant_.add(set_);
    if (distinct == 0) return;
    ++steps_;
    activated_ += distinct;
    // A step without a step before it in its request has no overlap; clock_ skips a tick between requests.
    if (previous_ == now - 1) {
      overlap_ += static_cast<double>(kept) / distinct;
      ++pairs_of_steps_;
    }
    previous_ = now;
  }

  [[nodiscard]] std::int64_t steps() const { return steps_; }

  void summarise(LayerStatistics& out) const {
    std::vector<std::int64_t> counts = counts_;
    std::sort(counts.rbegin(), counts.rend());
    double total = 0, entropy = 0, top = 0;
    for (const auto n : counts) total += static_cast<double>(n);
    if (total == 0) return;
    const std::size_t tenth = (counts.size() + 9) / 10;
    for (std::size_t i = 0; i < counts.size() && counts[i] > 0; ++i) {
      const double share = static_cast<double>(counts[i]) / total;
      entropy -= share * std::log(share);
      if (i < tenth) top += share;
      ++out.distinct_experts;
    }
    out.popularity_entropy =
        counts.size() > 1 ? std::max(0.0, entropy / std::log(static_cast<double>(counts.size()))) : 0;
    out.top_share = top;
    out.lag1_overlap = pairs_of_steps_ > 0 ? overlap_ / static_cast<double>(pairs_of_steps_) : 0;
    out.distant_overlap = distant_.mean();
    out.mean_activated = static_cast<double>(activated_) / static_cast<double>(steps_);
    out.cross_layer_repeat = pairs_.empty() ? 0 : pairs_.front().repeat();
  }

 private:
  std::vector<std::int64_t> counts_, seen_;
  std::vector<std::uint16_t> set_;
  DistantOverlap distant_;
  std::vector<PairCounts> pairs_;  ///< none for the first MoE layer of a stack
  std::int64_t clock_ = 1, previous_ = -1, steps_ = 0, activated_ = 0, pairs_of_steps_ = 0;
  double overlap_ = 0;
};

struct LayerCounts {
  std::int64_t tokens = 0;
  Selections decode, other;
};

void add_layer(LayerCounts& counts, const Step& step, std::span<const std::uint16_t> ids, int top_k,
               std::span<const std::uint16_t> before, int top_k_before) {
  for (std::size_t t = 0; t < ids.size(); t += static_cast<std::size_t>(top_k)) {
    const auto token = ids.subspan(t, static_cast<std::size_t>(top_k));
    if (std::any_of(token.begin(), token.end(), [](std::uint16_t id) { return id != no_expert; }))
      ++counts.tokens;
  }
  (step.phase == Phase::decode ? counts.decode : counts.other).add(ids, top_k, before, top_k_before);
}

}  // namespace

TraceStatistics measure(StepSource& source) {
  TraceStatistics result;
  result.info = source.info();
  const std::vector<StackLayout> stacks = layouts(result.info);
  std::int64_t pairs = 0;
  for (const StackLayout& stack : stacks)
    for (std::size_t l = 1; l < stack.experts.size(); ++l)
      pairs += std::int64_t{stack.experts[l - 1]} * stack.experts[l];
  // A table pays where it is not mostly zeros: a short trace of many experts has few of the possible pairs.
  const auto layer_count = static_cast<std::int64_t>(result.info.layers.size());
  const bool dense = pairs <= (std::int64_t{1} << 22U) && pairs / layer_count <= 4 * result.info.tokens;
  std::vector<LayerCounts> counts;
  for (const StackLayout& stack : stacks)
    for (std::size_t l = 0; l < stack.experts.size(); ++l) {
      const int before = l == 0 ? 0 : stack.experts[l - 1];
      counts.push_back(
          {0, Selections(stack.experts[l], before, dense), Selections(stack.experts[l], before, dense)});
    }

  source.rewind();
  Step step;
  while (source.next(step)) {
    if (step.first_of_request)
      for (LayerCounts& layer : counts) {
        layer.decode.begin_request();
        layer.other.begin_request();
      }
    (step.phase == Phase::encoder   ? result.encoder_tokens
     : step.phase == Phase::prefill ? result.prefill_tokens
                                    : result.decode_tokens) += step.tokens;
    const StackLayout& layout = stacks[static_cast<std::size_t>(step.stack)];
    std::span<const std::uint16_t> before;
    std::size_t start = 0;
    for (std::size_t l = 0; l < layout.layers.size(); ++l) {
      const auto count = static_cast<std::size_t>(step.tokens) * static_cast<std::size_t>(layout.top_k[l]);
      const auto ids = step.experts.subspan(start, count);
      add_layer(counts[static_cast<std::size_t>(layout.layers[l])], step, ids, layout.top_k[l], before,
                l == 0 ? 1 : layout.top_k[l - 1]);
      before = ids;
      start += count;
    }
  }
  source.rewind();

  std::vector<bool> decodes(stacks.size(), false);
  bool any_decodes = false;
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i].decode.steps() > 0)
      any_decodes = decodes[static_cast<std::size_t>(result.info.layers[i].stack)] = true;
  double layers = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    LayerStatistics layer;
    layer.layer = result.info.layers[i];
    layer.tokens = counts[i].tokens;
    const bool decodes_here = decodes[static_cast<std::size_t>(layer.layer.stack)];
    (decodes_here ? counts[i].decode : counts[i].other).summarise(layer);
    result.layers.push_back(layer);
    if (decodes_here != any_decodes) continue;
    layers += 1;
    result.distinct_experts += layer.distinct_experts;
    result.popularity_entropy += layer.popularity_entropy;
    result.top_share += layer.top_share;
    result.lag1_overlap += layer.lag1_overlap;
    result.distant_overlap += layer.distant_overlap;
    result.cross_layer_repeat += layer.cross_layer_repeat;
    result.mean_activated += layer.mean_activated;
  }
  for (double* mean :
       {&result.distinct_experts, &result.popularity_entropy, &result.top_share, &result.lag1_overlap,
        &result.distant_overlap, &result.cross_layer_repeat, &result.mean_activated})
    *mean /= std::max(1.0, layers);
  return result;
}

}  // namespace pregate::trace
