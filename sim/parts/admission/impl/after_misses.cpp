// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "sim/parts/admission/admission.hpp"

namespace pregate::sim {

namespace {

using cache::ExpertKey;

struct MissesBefore {
  int misses = 2;
};

/// Counts the misses of each expert since it was last let in. As "cache on the second hit" of content
/// delivery (Maggs and Sitaraman, CCR 2015): who is activated once does not evict who is activated often.
class AfterMisses final : public cache::AdmissionFilter {
 public:
  AfterMisses(int threshold, std::uint32_t keys) : threshold_(threshold), missed_(keys) {}
  void choose(std::uint32_t, std::span<const ExpertKey>, std::span<const ExpertKey> misses,
              std::span<std::uint8_t> enters) override {
    for (std::size_t i = 0; i < misses.size(); ++i) {
      int& missed = missed_[misses[i]];
      if (++missed < threshold_) {
        enters[i] = 0;
      } else {
        missed = 0;
      }
    }
  }

 private:
  int threshold_;
  std::vector<int> missed_;  // by key
};

}  // namespace

AdmissionEntry after_misses() {
  AdmissionEntry entry;
  entry.name = "after-misses";
  entry.help = "an expert that has missed so often since it was last let in";
  entry.mechanism = "admitted after misses";
  Fields<MissesBefore> fields;
  fields.add("admit_after", &MissesBefore::misses, "misses, the one that enters included",
             pregate::Range{2, 1000, "from 2 to 1000"});
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& threshold, const cache::CacheGeometry& geometry) {
    return std::make_unique<AfterMisses>(std::any_cast<const MissesBefore&>(threshold).misses,
                                         geometry.keys());
  };
  return entry;
}

}  // namespace pregate::sim
