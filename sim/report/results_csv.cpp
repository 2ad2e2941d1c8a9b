// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/report/report.hpp"

namespace pregate::sim {

namespace {

/// Quotes a field where RFC 4180 asks for it.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string results_csv(const std::vector<SimulationResult>& results, const Confidences& confidences) {
  std::string text =
      "policy,status,evidence,tokens_per_s,decode_tokens_per_s,ttft_ms,tpot_ms,block_mean_ms,block_p50_ms,"
      "block_p95_ms,block_p99_ms,hit_rate,h2d_bytes,exposed_transfer_ms,exposed_cpu_ms,exposed_host_ms,peak_"
      "gpu_bytes,"
      "compute_share,cpu_share,transfer_share,host_share,waiting_share,bound_by,confidence,tokens_per_s_low,"
      "tokens_per_s_high\n";
  // Shortest digits that read back the same, as in the JSON.
  const auto number = [](double value) {
    return std::isfinite(value) ? nlohmann::json(value).dump() : std::string{};
  };
  for (std::size_t i = 0; i < results.size(); ++i) {
    const SimulationResult& result = results[i];
    text += field(result.policy.name) + (result.out_of_memory ? ",out-of-memory," : ",ok,") +
            to_string(result.evidence);
    const Figures f = figures(result);
    if (result.out_of_memory) {
      text += ",,,,,,,,,,,,,," + std::to_string(result.memory.total().count) + ",,,,,,,,,\n";
      continue;
    }
    for (const double value : {f.tokens_per_s, f.decode_tokens_per_s, f.ttft_ms, f.tpot_ms, f.block_mean_ms,
                               f.block_p50_ms, f.block_p95_ms, f.block_p99_ms, f.hit_rate}) {
      text += "," + number(value);
    }
    text += "," + std::to_string(result.tally.fetched.count) + "," + number(f.exposed_transfer_ms) + "," +
            number(f.exposed_cpu_ms) + "," + number(f.exposed_host_ms) + "," +
            std::to_string(result.memory.total().count);
    for (const double value : {f.path_compute, f.path_cpu, f.path_transfer, f.path_host, f.path_waiting}) {
      text += "," + number(value);
    }
    text += std::string(",") + to_string(limits_of(result).binding);
    if (i < confidences.size() && confidences[i]) {
      const Confidence& confidence = *confidences[i];
      text += std::string(",") + to_string(confidence.label);
      text += confidence.most_tokens_per_s > 0
                  ? "," + number(confidence.least_tokens_per_s) + "," + number(confidence.most_tokens_per_s)
                  : ",,";
    } else {
      text += ",,,";
    }
    text += "\n";
  }
  return text;
}

}  // namespace pregate::sim
