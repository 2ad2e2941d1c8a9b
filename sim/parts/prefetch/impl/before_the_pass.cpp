// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "sim/parts/prefetch/prefetcher.hpp"

namespace pregate::sim {

namespace {

struct Window {
  int reach = 0;
};

class BeforeThePass final : public Prefetcher {
 public:
  explicit BeforeThePass(const Window& window) : reach_(window.reach) {}
  void begin_pass() override {
    for (std::vector<ExpertKey>& keys : guesses_) keys.clear();
  }
  [[nodiscard]] bool reaches(const LayersAhead& ahead) const override {
    return reach_ > 0 && ahead.has(ahead.ordinal + reach_);
  }
  void pass_begins(const LayersAhead& ahead, Predictor& predictor, Announcements& announced) override {
    if (guesses_.size() < static_cast<std::size_t>(ahead.end))
      guesses_.resize(static_cast<std::size_t>(ahead.end));
    const int layers = ahead.end - ahead.ordinal;
    each_ahead(ahead, layers, [&](int target) {
      const std::span<const ExpertKey> keys = predictor.predict(ahead.ordinal, target);
      guesses_[static_cast<std::size_t>(target)].assign(keys.begin(), keys.end());
      return true;
    });
    each_ahead(ahead, reach_ > 0 ? reach_ : layers, [&](int target) {
      announced.want(target, guesses_[static_cast<std::size_t>(target)]);
      return true;
    });
  }
  void look_ahead(const Moment&, const LayersAhead& ahead, Predictor&, Announcements& announced) override {
    const int target = ahead.ordinal + reach_;
    announced.want(target, guesses_[static_cast<std::size_t>(target)]);
  }

 private:
  int reach_;
  std::vector<std::vector<ExpertKey>> guesses_;  // by ordinal, of this pass
};

int reach_of(const std::any& parameters) { return std::any_cast<const Window&>(parameters).reach; }

}  // namespace

PrefetcherEntry before_the_pass() {
  PrefetcherEntry entry;
  entry.name = "before-pass";
  entry.help =
      "all that is predicted before the pass of the first 'window' layers, then of one more with each gate";
  entry.mechanism = "before the pass";
  Fields<Window> fields;
  fields
      .add("window", &Window::reach, "layers for which something is on its way at a time",
           pregate::Range{0, 10'000, "from 0 to 10000"})
      .or_zero("all");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& parameters, int) {
    return std::make_unique<BeforeThePass>(std::any_cast<const Window&>(parameters));
  };
  entry.before_passes = true;
  entry.in_flight = [](const std::any& parameters, int, int layers) {
    const int reach = reach_of(parameters);
    return reach > 0 ? std::min(layers, reach) : layers;
  };
  return entry;
}

}  // namespace pregate::sim
