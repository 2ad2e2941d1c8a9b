// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/eviction.hpp"

namespace pregate::cache {

namespace {

/// A cache that hits at a rate one gives, for what-ifs and for timing against measurements that state a rate.
/// Whether an expert's next activation hits is settled when it is activated (and at the start), evenly spaced
/// in the order of a domain's activations: over any long run the rate is exact, and an announced expert is
/// resident or not as it will be when its layer comes. Nothing is kept: a hit is an expert that is there
/// without a slot, a miss leaves when its layer is done.
class GivenRate final : public ExpertCache {
 public:
  explicit GivenRate(const CacheGeometry& geometry)
      : ExpertCache(geometry), owed_(geometry_.domains), rate_(geometry_.hit_rate) {
    for (std::uint32_t domain = 0; domain < geometry_.domains; ++domain) {
      owed_[domain] = static_cast<double>(domain) / geometry_.domains;  // domains do not hit in step
      for (ExpertKey key = geometry_.first_key[domain]; key < geometry_.first_key[domain + 1]; ++key)
        settle(domain, key);
    }
  }

  std::uint32_t access(std::uint32_t domain, std::span<const ExpertKey> activated) override {
    // The last batch's misses were not resident until its layer was done.
    for (const ExpertKey key : last_) settle(last_domain_, key);
    last_domain_ = domain;
    last_.assign(activated.begin(), activated.end());
    if (misses_.size() < activated.size()) misses_.resize(activated.size());
    miss_count_ = 0;
    for (const ExpertKey key : activated) {
      if (resident_[key] == 0) misses_[miss_count_++] = key;
    }
    bypassed_ = miss_count_;
    return static_cast<std::uint32_t>(activated.size() - miss_count_);
  }

 private:
  void settle(std::uint32_t domain, ExpertKey key) {
    double& owed = owed_[domain];
    owed += rate_;
    resident_[key] = owed >= 1 ? 1 : 0;
    if (owed >= 1) owed -= 1;
  }

  std::vector<double> owed_;  // by domain: hits that the rate asks for beyond those settled
  double rate_;
  std::uint32_t last_domain_ = 0;
  std::vector<ExpertKey> last_;
};

}  // namespace

void register_given_rate(EvictionRegistry& registry) {
  registry.add_decreed<GivenRate>("given-rate",
                                  "no rule: hits at the rate cache.hit_rate, whatever is activated");
}

}  // namespace pregate::cache
