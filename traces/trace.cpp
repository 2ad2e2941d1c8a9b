// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/trace.hpp"

namespace pregate::trace {

const char* to_string(Phase phase) {
  switch (phase) {
    case Phase::encoder:
      return "encoder";
    case Phase::prefill:
      return "prefill";
    case Phase::decode:
      return "decode";
  }
  return "unknown";
}

std::vector<int> TraceInfo::layers_of(int stack) const {
  std::vector<int> indices;
  for (std::size_t i = 0; i < layers.size(); ++i)
    if (layers[i].stack == stack) indices.push_back(static_cast<int>(i));
  return indices;
}

std::vector<int> TraceInfo::prediction_distances() const {
  if (!has_predictions) return {};
  std::vector<int> distances = {prediction_distance};
  distances.insert(distances.end(), further_distances.begin(), further_distances.end());
  return distances;
}

}  // namespace pregate::trace
