// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "sim/report/report.hpp"

namespace pregate::sim {

namespace {

/// Shortest digits that read back the same, as in the JSON.
std::string digits_of(double value) { return nlohmann::json(value).dump(); }

}  // namespace

std::string requests_csv(const std::vector<RequestRecord>& records) {
  std::string text =
      "request,sequences,prompt_tokens,output_tokens,begin_ms,first_token_ms,end_ms,ttft_ms,tpot_ms,"
      "arrival_ms,queue_ms,preemptions,recomputed_tokens\n";
  for (std::size_t i = 0; i < records.size(); ++i) {
    const RequestRecord& request = records[i];
    text += std::to_string(i) + "," + std::to_string(request.sequences) + "," +
            std::to_string(request.prompt_tokens) + "," + std::to_string(request.output_tokens) + "," +
            digits_of(request.begin.milliseconds()) + ",";
    if (request.first_token.count >= 0) text += digits_of(request.first_token.milliseconds());
    text += "," + digits_of(request.end.milliseconds()) + ",";
    if (request.has_ttft()) text += digits_of(request.ttft().milliseconds());
    text += ",";
    if (request.has_tpot()) text += digits_of(request.tpot_ms());
    text += ",";
    if (request.has_arrival())
      text += digits_of(request.arrival.milliseconds()) + "," + digits_of(request.queued().milliseconds());
    else
      text += ",";
    text +=
        "," + std::to_string(request.preemptions) + "," + std::to_string(request.recomputed_tokens) + "\n";
  }
  return text;
}

}  // namespace pregate::sim
