// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>
#include <vector>

#include "sim/cache/split_mix.hpp"
#include "sim/parts/predictor/likeliest.hpp"
#include "sim/parts/predictor/predictor.hpp"
#include "sim/workload/decode_uses.hpp"

namespace pregate::sim {

namespace {

struct Foretold {
  std::int64_t foresight = 8;
  double noise = 0;
  int guesses = 0;
  std::uint64_t seed = 1;
};

/// Of a layer, those whose next use is within `foresight` decode steps, the running one included: the next
/// used first, the lower id on a tie. With `noise`, each use is overlooked at that rate, and an expert that
/// no known step uses is named in its place, last. What is overlooked is so however often it is asked for:
/// draws belong to the use.
class KnowsWindow final : public Oracle {
 public:
  KnowsWindow(const Foretold& window, const ExpertMap& map)
      : map_(map), given_(window), next_(map.keys()), is_named_(map.keys()) {}

  void begin_pass(trace::Phase phase, bool) override {
    if (phase == trace::Phase::decode) ++begun_;
  }
  std::span<const ExpertKey> predict(int, int target) override {
    const MoeLayer& layer = map_.layers()[static_cast<std::size_t>(target)];
    known_.clear();
    std::size_t running = 0;  // of those that the running step activates
    for (int i = 0; i < layer.experts; ++i) {
      const ExpertKey key = layer.first_key + static_cast<ExpertKey>(i);
      is_named_[key] = 0;
      const std::uint32_t step = next_use(key);
      if (!is_known(step)) continue;
      known_.emplace_back(step, key);
      running += step == now() ? 1U : 0U;
    }
    std::sort(known_.begin(), known_.end());
    named_.clear();
    std::size_t overlooked = 0;
    for (const auto& [step, key] : known_) {
      is_named_[key] = 1;  // or overlooked: no stand-in either way
      if (is_overlooked(key, step))
        ++overlooked;
      else
        named_.push_back(key);
    }
    add_stand_ins(layer, overlooked);
    if (given_.guesses > 0) {
      const std::size_t most = guesses_for(running, given_.guesses, layer.top_k);
      named_.resize(std::min(named_.size(), most));
    }
    return named_;
  }
  [[nodiscard]] bool is_for_later(ExpertKey key) override {
    const std::uint32_t step = next_use(key, now() + 1);
    return step != nobody && step < now() + static_cast<std::uint64_t>(given_.foresight) &&
           !is_overlooked(key, step);
  }

 private:
  static constexpr std::uint32_t nobody = static_cast<std::uint32_t>(-1);
  [[nodiscard]] std::uint64_t now() const { return begun_ == 0 ? 0 : begun_ - 1; }
  [[nodiscard]] bool is_known(std::uint32_t step) const {
    return step != nobody && step < now() + static_cast<std::uint64_t>(given_.foresight);
  }
  std::uint32_t next_use(ExpertKey key) { return next_use(key, now()); }
  /// Time goes on: what lies behind the running step is left behind.
  std::uint32_t next_use(ExpertKey key, std::uint64_t from) {
    const std::span<const std::uint32_t> uses = decode_uses().of(key);
    std::size_t& next = next_[key];
    while (next < uses.size() && uses[next] < now()) ++next;
    std::size_t at = next;
    while (at < uses.size() && uses[at] < from) ++at;
    return at < uses.size() ? uses[at] : nobody;
  }
  [[nodiscard]] cache::SplitMix draws_of(std::uint64_t what) const {
    return cache::SplitMix(cache::SplitMix(given_.seed ^ cache::SplitMix(what)())());
  }
  [[nodiscard]] bool is_overlooked(ExpertKey key, std::uint32_t step) const {
    return given_.noise > 0 && draws_of((std::uint64_t{key} << 32U) | step).unit() < given_.noise;
  }
  void add_stand_ins(const MoeLayer& layer, std::size_t count) {
    auto others = static_cast<std::size_t>(layer.experts) - known_.size();
    cache::SplitMix draws = draws_of((std::uint64_t{layer.first_key} << 32U) | now());
    for (; count > 0 && others > 0; --count, --others) {
      std::size_t place = draws.below(others);
      ExpertKey key = layer.first_key;
      while (is_named_[key] != 0 || place-- > 0) ++key;
      is_named_[key] = 1;
      named_.push_back(key);
    }
  }

  const ExpertMap& map_;
  Foretold given_;
  std::uint64_t begun_ = 0;        // decode passes
  std::vector<std::size_t> next_;  // by key, among its uses
  std::vector<std::uint8_t> is_named_;
  std::vector<std::pair<std::uint32_t, ExpertKey>> known_;
  std::vector<ExpertKey> named_;
};

}  // namespace

/// SeqMoE (2609.12978) foretells eight steps; without noise a bound for every predictor.
PredictorEntry window_oracle() {
  PredictorEntry entry;
  entry.name = "window-oracle";
  entry.help = "who is used within the next steps, which are known";
  entry.mechanism = "window-oracle prefetch";
  Fields<Foretold> fields;
  fields.add("foresight", &Foretold::foresight, "decode steps that are known, the running one included",
             pregate::Range{1, 1e9, "from 1 to 1000000000"});
  fields.add("noise", &Foretold::noise, "share of the uses that are overlooked, others named in their place",
             pregate::Range{0, 1, "from 0 to 1"});
  fields
      .add("guesses", &Foretold::guesses, "experts that are named for a token",
           pregate::Range{0, 65536, "from 0 to 65536"})
      .or_zero("all that the known steps use");
  fields.add("seed", &Foretold::seed, "of its draws");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& window, const ExpertMap& map) {
    return std::make_unique<KnowsWindow>(std::any_cast<const Foretold&>(window), map);
  };
  entry.most_guesses = [](const std::any& window, const ExpertMap& map, const TraceScan& scan) {
    const Foretold& given = std::any_cast<const Foretold&>(window);
    if (given.guesses > 0) return most_guesses_of(given.guesses, map, scan);
    std::int64_t most = 0;
    for (const MoeLayer& layer : map.layers()) most = std::max<std::int64_t>(most, layer.experts);
    const std::int64_t of_each = std::max(1, scan.most_activated);
    return static_cast<int>(given.foresight < most / of_each ? given.foresight * of_each : most);
  };
  entry.is_oracle = entry.needs_future = entry.names_later_steps = entry.knows_pass = true;
  return entry;
}

}  // namespace pregate::sim
