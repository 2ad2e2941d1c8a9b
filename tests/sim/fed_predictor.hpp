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
namespace pregate::test {

inline sim::Chosen<sim::PredictorEntry> predictor(
    const std::string& kind, const std::vector<std::pair<std::string, std::string>>& parameters = {}) {
  sim::Chosen<sim::PredictorEntry> part = sim::built_in_parts().predictors.find(kind, "test");
  for (const auto& [key, value] : parameters) part.set(key, value);
  return part;
}

/// Of a model's layers, one step after the other.
class Fed {
 public:
  Fed(const sim::Chosen<sim::PredictorEntry>& part, const trace::TraceInfo& info)
      : map_(info), made_(part->make(part.parameters(), map_)) {}
  void begin(bool first_of_request = false) { made_->begin_pass(trace::Phase::decode, first_of_request); }
  void see(int ordinal, std::vector<sim::ExpertKey> ids, std::vector<std::uint32_t> tokens = {}) {
    for (sim::ExpertKey& id : ids) id += first(ordinal);
    tokens.resize(ids.size(), 1);
    made_->observe(ordinal, ids, tokens);
  }
  /// Ids in their layer.
  std::vector<sim::ExpertKey> predict(int ordinal, int target) {
    const std::span<const sim::ExpertKey> keys = made_->predict(ordinal, target);
    std::vector<sim::ExpertKey> ids(keys.begin(), keys.end());
    for (sim::ExpertKey& id : ids) id -= first(target);
    return ids;
  }
  [[nodiscard]] std::vector<double> probabilities() const {
    const std::span<const double> all = made_->probabilities();
    return {all.begin(), all.end()};
  }
  const sim::ExpertMap& map() const { return map_; }
  sim::Predictor& operator*() { return *made_; }

 private:
  [[nodiscard]] sim::ExpertKey first(int ordinal) const {
    return map_.layers()[static_cast<std::size_t>(ordinal)].first_key;
  }
  sim::ExpertMap map_;
  std::unique_ptr<sim::Predictor> made_;
};

}  // namespace pregate::test
