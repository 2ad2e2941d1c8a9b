// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/cache/eviction.hpp"
#include "sim/cache/ranked_swaps.hpp"

namespace pregate::cache {

namespace {

struct PerRequestParameters {
  int prompt_tokens = 0;
};

/// DAOP's and KTransformers' placement for a request: no miss evicts anyone. After a pass over a prompt, the
/// expert of a domain that most of its tokens chose and that is not there changes places with the one there
/// that the fewest chose, as long as the one has more tokens than the other. A prompt that is taken in chunks
/// is looked at after each, with what it had so far. Decode changes nothing.
class PerRequest {
 public:
  explicit PerRequest(const CacheGeometry& geometry)
      : least_(static_cast<std::uint64_t>(parameters_of<PerRequestParameters>(geometry).prompt_tokens)),
        rows_(geometry),
        swaps_(geometry),
        counts_(geometry.keys()) {}

  static constexpr bool ignores_hits = true;

  void begin_pass(const PassStart& start) {
    is_prompt_ = !start.is_decode;
    if (!is_prompt_) return;
    if (start.first_of_request) {
      tokens_ = 0;
      std::fill(counts_.begin(), counts_.end(), 0.0);
    }
    tokens_ += start.tokens;
  }
  void gate(const GateOutcome& outcome) {
    if (!is_prompt_) return;
    for (std::size_t i = 0; i < outcome.activated.size(); ++i)
      counts_[outcome.activated[i]] += outcome.tokens[i];
  }
  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t, ExpertKey incoming, const Evictable&) const { return incoming; }
  void insert(std::uint32_t domain, ExpertKey key) { rows_.insert(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { rows_.remove(domain, key); }
  void choose_swaps(const Evictable& evictable, std::vector<Swap>& swaps) {
    if (!is_prompt_ || tokens_ < least_) return;
    swaps_.choose(
        rows_, evictable, [this](ExpertKey key) { return counts_[key]; }, 0.0, counts_.size(), swaps);
  }

 private:
  std::uint64_t least_;
  ResidentRows rows_;
  RankedSwaps swaps_;
  std::vector<double> counts_;  // by key: tokens of the prompt
  std::uint64_t tokens_ = 0;
  bool is_prompt_ = false;
};

}  // namespace

void register_per_request(EvictionRegistry& registry) {
  Fields<PerRequestParameters> fields;
  fields.add("prompt_tokens", &PerRequestParameters::prompt_tokens,
             "of a prompt that is shorter nothing is learned", pregate::Range{0, 1 << 30, "from 0 to 2^30"});
  EvictionEntry& entry = registry.add<PerRequest>(
      "per-request",
      "on a miss nobody; after a prompt those that the fewest of its tokens chose for the most chosen");
  entry.parameters = sim::PartParameters(fields);
  entry.starts_full = entry.needs_prompts = true;
}

}  // namespace pregate::cache
