// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "sim/cost/kernel_evidence.hpp"
#include "sim/report/report.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

std::string rate(const std::optional<RoutingRates>& rates) {
  return rates ? three_digits(rates->tokens_per_s) : "out of memory";
}

std::string signed_percent(double change) {
  if (std::abs(change) < 5e-4) return "0 %";
  return (change < 0 ? "-" : "+") + three_digits(std::abs(100 * change)) + " %";
}

}  // namespace

std::string routing_span_text(const std::vector<SimulationResult>& results) {
  std::string lines;
  std::size_t width = 0;
  for (const SimulationResult& result : results) width = std::max(width, result.policy.name.size());
  for (const SimulationResult& result : results) {
    if (!result.routing_span || result.out_of_memory) continue;
    const auto& [low, high] = *result.routing_span;
    lines += "  " + result.policy.name + std::string(width + 2 - result.policy.name.size(), ' ') + rate(low) +
             " (low) to " + rate(high) + " (high) tokens/s";
    const double now = result.tokens_per_second();
    if (low && high && now > 0)
      lines += ": " + signed_percent(low->tokens_per_s / now - 1) + ", " +
               signed_percent(high->tokens_per_s / now - 1);
    lines += "\n";
  }
  return lines.empty()
             ? lines
             : "locality: what the rates are with other generated routing; a recording would tell\n" + lines;
}

std::vector<std::string> notes_of(const RunConfiguration& run, const std::vector<SimulationResult>& results) {
  std::vector<std::string> notes = run.notes;
  if (const auto evidence = kernel_evidence(run.model, run.machine)) notes.push_back(kernel_note(*evidence));
  const auto ran = std::find_if(results.begin(), results.end(), [](const SimulationResult& result) {
    return !result.out_of_memory && result.requests > 0;
  });
  if (ran == results.end() || ran->requests_with_prompt == ran->requests) return notes;
  if (ran->requests_with_prompt == 0) {
    notes.emplace_back(
        "no TTFT: no request of the trace begins with its prompt (a prefill or an encoder pass)");
  } else {
    notes.push_back("TTFT is of the " + std::to_string(ran->requests_with_prompt) + " of " +
                    std::to_string(ran->requests) + " requests that begin with their prompt");
  }
  return notes;
}

}  // namespace pregate::sim
