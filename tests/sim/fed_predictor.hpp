// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/parts/parts.hpp"

/// A predictor without a simulation around it.
namespace pregate::sim::test {

inline Chosen<PredictorEntry> predictor(
    const std::string& kind, const std::vector<std::pair<std::string, std::string>>& parameters = {}) {
  Chosen<PredictorEntry> part = built_in_parts().predictors.find(kind, "test");
  for (const auto& [key, value] : parameters) part.set(key, value);
  return part;
}

/// Of a model's layers, one step after the other.
class Fed {
 public:
  Fed(const Chosen<PredictorEntry>& part, const trace::TraceInfo& info)
      : map_(info), made_(part->make(part.parameters(), map_)) {}
  void begin(bool first_of_request = false) { made_->begin_pass(trace::Phase::decode, first_of_request); }
  void see(int ordinal, std::vector<ExpertKey> ids, std::vector<std::uint32_t> tokens = {}) {
    for (ExpertKey& id : ids) id += first(ordinal);
    tokens.resize(ids.size(), 1);
    made_->observe(ordinal, ids, tokens);
  }
  /// Ids in their layer.
  std::vector<ExpertKey> predict(int ordinal, int target) {
    const std::span<const ExpertKey> keys = made_->predict(ordinal, target);
    std::vector<ExpertKey> ids(keys.begin(), keys.end());
    for (ExpertKey& id : ids) id -= first(target);
    return ids;
  }
  [[nodiscard]] std::vector<double> probabilities() const {
    const std::span<const double> all = made_->probabilities();
    return {all.begin(), all.end()};
  }
  const ExpertMap& map() const { return map_; }
  Predictor& operator*() { return *made_; }

 private:
  [[nodiscard]] ExpertKey first(int ordinal) const {
    return map_.layers()[static_cast<std::size_t>(ordinal)].first_key;
  }
  ExpertMap map_;
  std::unique_ptr<Predictor> made_;
};

}  // namespace pregate::sim::test
