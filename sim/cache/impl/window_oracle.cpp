// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/cached_layers.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/cache/resident_rows.hpp"
#include "sim/cache/split_mix.hpp"

namespace pregate::cache {

namespace {

struct WindowOracleParameters {
  std::int64_t foresight = 8;
  double noise = 0;
};

enum class Newcomer { admitted, weighed };

/// Knows who is needed within some steps: of those the one needed last leaves first, but only after all
/// others, of whom it knows nothing and who leave as of LRU. A step is as many batches as the stack of the
/// running layer has MoE layers. With `noise`, each next use is overlooked at that rate. It learns from
/// gates, which tell of every expert of the geometry that is not excluded. Newcomer::weighed, for
/// Admission::bypass, may leave a miss out or drop a member of the batch: with foresight of the whole trace
/// and no noise it hits as often as `belady`, and Newcomer::admitted as `belady-forced`.
template <Newcomer newcomer>
class WindowOracle {
 public:
  explicit WindowOracle(const CacheGeometry& geometry)
      : rows_(geometry),
        layers_(geometry),
        excluded_(geometry.excluded),
        next_use_(geometry.next_use),
        upcoming_(geometry.keys(), never),
        last_use_(geometry.keys()),
        draws_(geometry.seed) {
    const auto parameters = parameters_of<WindowOracleParameters>(geometry);
    foresight_ = static_cast<std::uint64_t>(parameters.foresight);
    noise_ = parameters.noise;
    excluded_.resize(geometry.keys());
    for (const ExpertKey key : geometry.start) upcoming_[key] = next_seen();
  }

  static constexpr bool evicts_batch_members = newcomer == Newcomer::weighed;
  static constexpr bool ignores_hits = true;

  void begin_pass(const PassStart& start) { first_batch_ = start.first_batch; }
  void gate(const GateOutcome& outcome) {
    const std::uint64_t now = first_batch_ + layers_.place(outcome.ordinal);
    horizon_ = now + foresight_ * layers_.depth(outcome.ordinal);
    for (const ExpertKey key : outcome.activated) {
      if (excluded_[key] != 0) continue;
      upcoming_[key] = next_seen();
    }
  }
  void begin_batch(std::uint32_t, std::span<const ExpertKey> activated) {
    for (const ExpertKey key : activated) last_use_[key] = ++clock_;
  }
  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) const {
    const ExpertKey lowest = rows_.lowest(domain, evictable, [this](ExpertKey key) { return worth(key); });
    if constexpr (newcomer == Newcomer::weighed) {
      if (lowest != no_key && worth(incoming) < worth(lowest)) return incoming;
    }
    return lowest;
  }
  void insert(std::uint32_t domain, ExpertKey key) { rows_.insert(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { rows_.remove(domain, key); }

 private:
  BatchIndex next_seen() {
    const BatchIndex next = next_use_[position_++];
    return noise_ > 0 && draws_.unit() < noise_ ? never : next;
  }
  [[nodiscard]] std::pair<int, std::uint64_t> worth(ExpertKey key) const {
    const BatchIndex next = upcoming_[key];
    if (next == never || next > horizon_) return {0, last_use_[key]};
    return {1, ~((std::uint64_t{next} << 32U) | static_cast<std::uint32_t>(~key))};  // the lower key on a tie
  }

  ResidentRows rows_;
  CachedLayers layers_;
  std::vector<std::uint8_t> excluded_;
  std::span<const BatchIndex> next_use_;
  std::vector<BatchIndex> upcoming_;     // by key
  std::vector<std::uint64_t> last_use_;  // by key
  SplitMix draws_;
  std::uint64_t foresight_ = 0, first_batch_ = 0, horizon_ = 0, clock_ = 0;
  std::size_t position_ = 0;
  double noise_ = 0;
};

std::unique_ptr<ExpertCache> make_window_oracle(const CacheGeometry& geometry) {
  if (geometry.admission == Admission::bypass)
    return std::make_unique<CacheOf<WindowOracle<Newcomer::weighed>>>(geometry);
  return std::make_unique<CacheOf<WindowOracle<Newcomer::admitted>>>(geometry);
}

}  // namespace

void register_window_oracle(EvictionRegistry& registry) {
  Fields<WindowOracleParameters> fields;
  fields.add("foresight", &WindowOracleParameters::foresight, "steps of the future that are known",
             pregate::Range{0, 1e9, "from 0 to 1000000000"});
  fields.add("noise", &WindowOracleParameters::noise, "share of the next uses that are overlooked",
             pregate::Range{0, 1, "from 0 to 1"});
  EvictionEntry& entry = registry.add<WindowOracle<Newcomer::admitted>>(
      "window-oracle",
      "knows some steps of the future; evicts as lru who is not needed in them, then the last", true);
  entry.make_general = &make_window_oracle;
  entry.parameters = sim::PartParameters(fields);
  entry.draws = true;
}

}  // namespace pregate::cache
