// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <optional>

#include "models/terminal_text.hpp"
#include "sim/policy/policy_kind.hpp"
#include "sim/report/metrics.hpp"
#include "sim/report/report.hpp"
#include "sim/report/shares.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

/// Those of results that ran, then those that the others have too, which say in place of the first why not.
std::vector<const Metric*> table_columns() {
  std::vector<const Metric*> all;
  for (const Metric& metric : metrics()) {
    if (metric.table) all.push_back(&metric);
  }
  std::stable_partition(all.begin(), all.end(),
                        [](const Metric* metric) { return metric->group != MetricGroup::memory; });
  return all;
}

/// In the unit of the head.
double shown_value(const Metric& metric, const SimulationResult& result) {
  return as_number(metric.value(result)) / metric.table->divisor;
}

std::string printed(const Metric& metric, const SimulationResult& result) {
  return metric.table->print(shown_value(metric, result));
}

/// Best value of a column over the results that ran; marked only where they differ as printed.
std::string best_of(const Metric& metric, const std::vector<SimulationResult>& results) {
  const Best wanted = metric.table->best;
  if (wanted == Best::unmarked) return {};
  const SimulationResult* best = nullptr;
  bool differ = false;
  std::string first;
  for (const SimulationResult& result : results) {
    if (!result.has_figures()) continue;
    const std::string text = printed(metric, result);
    if (first.empty()) first = text;
    differ = differ || text != first;
    const auto is_better = [&] {
      const double value = shown_value(metric, result), known = shown_value(metric, *best);
      return wanted == Best::most ? value > known : value < known;
    };
    if (best == nullptr || is_better()) best = &result;
  }
  return best != nullptr && differ ? printed(metric, *best) : std::string{};
}

std::string marked(const std::string& cell, bool is_best) { return is_best ? "*" + cell : cell; }

/// What stands in the place of figures.
const char* instead(const SimulationResult& result) {
  return result.out_of_memory ? "out of memory" : "interrupted";
}

TextTable table_of(const std::vector<const Metric*>& shown, const std::vector<SimulationResult>& results,
                   bool by_kind) {
  std::vector<std::string> head{"policy"}, best;
  for (const Metric* metric : shown) {
    head.push_back(metric->table->head);
    best.push_back(best_of(*metric, results));
  }
  TextTable table(head);
  std::optional<PolicyKind> kind;
  for (const SimulationResult& result : results) {
    if (by_kind && kind != kind_of(result.policy)) {
      kind = kind_of(result.policy);
      table.add_section(to_string(*kind));
    }
    std::vector<std::string> row{(by_kind ? "  " : "") + one_line(result.policy.name)};
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const bool is_known = result.out_of_memory && shown[i]->group == MetricGroup::memory;
      if (!result.has_figures() && !is_known) {
        row.emplace_back(i == 0 ? instead(result) : "");
        continue;
      }
      const std::string cell = printed(*shown[i], result);
      row.push_back(marked(cell, result.has_figures() && !best[i].empty() && cell == best[i]));
    }
    table.add(std::move(row), result.has_figures() ? 0 : 1);
  }
  return table;
}

/// Nothing to say in any row.
bool is_empty(const Metric& metric, const std::vector<SimulationResult>& results) {
  return std::none_of(results.begin(), results.end(), [&](const SimulationResult& result) {
    return has(result, metric) && std::isfinite(shown_value(metric, result));
  });
}

/// The table, without the columns for which the layout has no room; a line says which. Those that say nothing
/// go first, without a word.
std::string fitted_table(const std::vector<SimulationResult>& results, const TextLayout& layout,
                         bool by_kind) {
  std::vector<const Metric*> shown;
  for (const Metric* metric : table_columns()) {
    const bool is_above_zero =
        std::any_of(results.begin(), results.end(), [&](const SimulationResult& result) {
          return has(result, *metric) && shown_value(*metric, result) > 0;
        });
    if (is_above_zero || !metric->table->only_above_zero) shown.push_back(metric);
  }
  std::string left_out;
  TextTable table = table_of(shown, results, by_kind);
  while (!layout.all_columns && table.width() > layout.columns) {
    const auto empty = std::find_if(shown.begin(), shown.end(), [&](const Metric* metric) {
      return metric->table->rank > 0 && is_empty(*metric, results);
    });
    if (empty != shown.end()) {
      shown.erase(empty);
      table = table_of(shown, results, by_kind);
      continue;
    }
    const auto least = std::max_element(shown.begin(), shown.end(), [](const Metric* a, const Metric* b) {
      return a->table->rank < b->table->rank;
    });
    if ((*least)->table->rank == 0) break;
    left_out += (left_out.empty() ? "" : ", ") + (*least)->table->head;
    shown.erase(least);
    table = table_of(shown, results, by_kind);
  }
  std::string text = table.text();
  if (left_out.empty()) return text;
  const std::string said =
      "Left out at " + std::to_string(layout.columns) + " columns: " + left_out + " (--wide shows all).\n";
  return text + folded(said, layout);
}

bool is_fastest_of_its_kind(const SimulationResult& result, const std::vector<SimulationResult>& results) {
  if (!result.has_figures()) return false;
  return std::all_of(results.begin(), results.end(), [&](const SimulationResult& other) {
    return &other == &result || !other.has_figures() || kind_of(other.policy) != kind_of(result.policy) ||
           other.tokens_per_second() < result.tokens_per_second() ||
           (other.tokens_per_second() == result.tokens_per_second() && &result < &other);
  });
}

std::string heading(const RunConfiguration& run) {
  std::string text = one_line(run.model.name) + " (" + run.model.expert_format.name + " experts of ";
  Bytes largest;
  for (const Stack& stack : run.model.stacks) largest = std::max(largest, run.model.expert_bytes(stack));
  text += to_string(largest) + ") on " + one_line(run.machine.name) +
          (run.machine.replaced_host.empty() ? "" : " with host " + one_line(run.machine.replaced_host)) +
          " [" + run.machine.calibration +
          (run.software && !run.software_is_default ? "], " + run.software->name + "\n" : "]\n");
  text += "trace " + one_line(run.trace_path) + ": " + std::to_string(run.trace.requests) + " requests, " +
          std::to_string(run.trace.tokens) + " tokens, " + std::to_string(run.trace.routed_entries) +
          " routed entries";
  if (!run.serving.is_lock_step()) {
    text += ", " + run.serving.batcher->name + ", at most " + std::to_string(run.batch) + " at a time";
  } else if (run.batch > 1) {
    text += ", batches of " + std::to_string(run.batch);
  }
  return text + "\n\n";
}

struct Reasoned {
  std::string policy, reason;
};

/// A line a reason, in the order of the first that has it.
std::string by_reason(const std::string& what, const std::vector<Reasoned>& all) {
  std::vector<Reasoned> named;
  for (const Reasoned& each : all) {
    const auto same = std::find_if(named.begin(), named.end(),
                                   [&](const Reasoned& known) { return known.reason == each.reason; });
    if (same == named.end())
      named.push_back({one_line(each.policy), each.reason});
    else
      same->policy += ", " + one_line(each.policy);
  }
  std::string text;
  for (const Reasoned& each : named) text += what + ": " + each.policy + ": " + one_line(each.reason) + "\n";
  return text;
}

/// The table has what a policy needs of GPU memory, and what else there may be too little of it has not.
std::string does_not_fit_text(const std::vector<SimulationResult>& results) {
  std::vector<Reasoned> lacking;
  for (const SimulationResult& result : results) {
    if (!result.out_of_memory) continue;
    std::string reason = result.out_of_memory_reason;
    const std::string needs = result.policy.name + " needs ";
    if (result.memory.total() > result.memory.usable)
      reason = "needs more than the " + to_string(result.memory.usable) + " of GPU memory that are usable";
    else if (reason.starts_with(needs))
      reason = reason.substr(result.policy.name.size() + 1);
    lacking.push_back({result.policy.name, reason});
  }
  return by_reason("does not fit", lacking);
}

}  // namespace

std::string why(const SimulationResult& result) {
  if (result.out_of_memory) {
    return "does not fit: " + result.out_of_memory_reason + ". " +
           (result.fits_with.any()
                ? "It fits with " + result.fits_with.text()
                : std::string(result.fits_with.tried_caches ? "No cache size and no" : "No") +
                      " single weight format makes it fit");
  }
  if (!result.has_figures()) return "interrupted before its first pass";
  const double cpu_share = path_shares(result).cpu;
  const Utilisation busy = utilisation(result);
  std::string text = limits_text(limits_of(result));
  const CacheResult& cache = result.decode_steps > 0 ? result.decode_cache : result.other_cache;
  if (cpu_share > 0 && !result.policy.miss.service->uses_cpu && result.policy.lookahead.cost.count > 0) {
    text += "; the CPU predicts in " + percent(cpu_share) + " of the time";
  } else if (cpu_share > 0) {
    text += "; the CPU computes " +
            percent(static_cast<double>(cache.computed_on_cpu) /
                    static_cast<double>(std::max<std::int64_t>(1, cache.hits + cache.misses))) +
            " of the activated experts, in " + percent(cpu_share) + " of the time; the GPU is busy " +
            percent(busy.compute);
  }
  if (result.tally.fetches == 0) return text + "; no expert is copied";
  text += "; " + percent(exposed_transfer_share(result)) + " of the time waits for expert copies; ";
  text += percent(std::max(0.0, hidden_transfer_share(result))) + " of the copying hides behind computation";
  if (cache.hits > 0)
    text += "; " + percent(cache.hit_rate()) + " of the activated experts are there already";
  if (busy.h2d > 0.95) text += "; the link is never idle";
  return text;
}

std::string left_out_text(const RunConfiguration& run) {
  std::vector<Reasoned> left_out;
  for (const RunConfiguration::LeftOut& each : run.left_out) left_out.push_back({each.policy, each.reason});
  return by_reason("left out", left_out);
}

std::string results_table(const RunConfiguration& run, const std::vector<SimulationResult>& results,
                          const TextLayout& layout, const Confidences& confidences) {
  std::string legend = results.size() > 1 ? "* best of its column. " : "";
  const Evidence evidence = results.empty() ? Evidence::simulated : results.front().evidence;
  legend += std::string("All figures are ") + to_string(evidence) + ".\n\n";
  std::string text =
      folded(heading(run), layout) + fitted_table(results, layout, run.all_policies) + folded(legend, layout);
  for (const SimulationResult& result : results) {
    if (run.all_policies && !is_fastest_of_its_kind(result, results)) continue;
    const std::string name = one_line(result.policy.name);
    std::string line = folded(name + ": " + one_line(why(result)) + "\n", layout);
    if (layout.colour && line.starts_with(name))
      line = "\033[1m" + name + "\033[0m" + line.substr(name.size());
    text += line;
  }
  text += folded(confidence_text(results, confidences, run.all_policies), layout);
  text += folded(routing_span_text(results), layout);
  std::string notes = (run.all_policies ? does_not_fit_text(results) : std::string{}) + left_out_text(run);
  for (const SimulationResult& result : results) {
    for (const std::string& note : result.notes)
      notes += "note: " + one_line(result.policy.name) + ": " + one_line(note) + "\n";
  }
  for (const std::string& note : notes_of(run, results)) notes += "note: " + one_line(note) + "\n";
  return text + folded(notes, layout);
}

}  // namespace pregate::sim
