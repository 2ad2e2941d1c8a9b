// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "sim/report/report.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

std::string gib(Bytes bytes) { return three_digits(static_cast<double>(bytes.count) / (1LL << 30)); }

/// How a column marks its best value.
enum class Best { most, least, unmarked };

struct Column {
  std::string head;
  Best best;
  double (*value)(const SimulationResult&, const Figures&);
  std::string (*print)(double);
};

const std::vector<Column>& columns() {
  static const std::vector<Column> all = {
      {"tokens/s", Best::most, [](const SimulationResult&, const Figures& f) { return f.tokens_per_s; },
       three_digits},
      {"decode tok/s", Best::most,
       [](const SimulationResult&, const Figures& f) { return f.decode_tokens_per_s; }, three_digits},
      {"TTFT ms", Best::least, [](const SimulationResult&, const Figures& f) { return f.ttft_ms; },
       three_digits},
      {"TPOT ms", Best::least, [](const SimulationResult&, const Figures& f) { return f.tpot_ms; },
       three_digits},
      {"block ms", Best::least, [](const SimulationResult&, const Figures& f) { return f.block_mean_ms; },
       three_digits},
      {"p99", Best::least, [](const SimulationResult&, const Figures& f) { return f.block_p99_ms; },
       three_digits},
      {"hits", Best::unmarked, [](const SimulationResult&, const Figures& f) { return f.hit_rate; }, percent},
      {"MiB/token", Best::least,
       [](const SimulationResult&, const Figures& f) { return f.h2d_bytes_per_token / (1 << 20); },
       three_digits},
      {"waits", Best::least,
       [](const SimulationResult&, const Figures& f) { return f.exposed_transfer_share; }, percent},
      {"CPU", Best::unmarked, [](const SimulationResult&, const Figures& f) { return f.path_cpu; }, percent},
      {"GPU GiB", Best::least,
       [](const SimulationResult& r, const Figures&) {
         return static_cast<double>(r.memory.total().count) / (1LL << 30);
       },
       three_digits},
  };
  return all;
}

/// Best value of a column over the results that ran; marked only where they differ as printed.
std::string best_of(const Column& column, const std::vector<SimulationResult>& results) {
  if (column.best == Best::unmarked) return {};
  const SimulationResult* best = nullptr;
  bool differ = false;
  std::string first;
  for (const SimulationResult& result : results) {
    if (result.out_of_memory) continue;
    const auto value = [&](const SimulationResult& r) { return column.value(r, figures(r)); };
    const std::string printed = column.print(value(result));
    if (first.empty()) first = printed;
    differ = differ || printed != first;
    if (best == nullptr ||
        (column.best == Best::most ? value(result) > value(*best) : value(result) < value(*best))) {
      best = &result;
    }
  }
  return best != nullptr && differ ? column.print(column.value(*best, figures(*best))) : std::string{};
}

std::string marked(const std::string& cell, bool is_best) { return is_best ? "*" + cell : cell; }

std::string heading(const RunConfiguration& run) {
  std::string text = run.model.name + " (" + run.model.expert_format.name + " experts of ";
  Bytes largest;
  for (const Stack& stack : run.model.stacks) largest = std::max(largest, run.model.expert_bytes(stack));
  text += to_string(largest) + ") on " + run.machine.name +
          (run.machine.replaced_host.empty() ? "" : " with host " + run.machine.replaced_host) + " [" +
          run.machine.calibration + "]\n";
  text += "trace " + run.trace_path + ": " + std::to_string(run.trace.requests) + " requests, " +
          std::to_string(run.trace.tokens) + " tokens, " + std::to_string(run.trace.routed_entries) +
          " routed entries";
  if (run.batch > 1) text += ", batches of " + std::to_string(run.batch);
  return text + "\n\n";
}

}  // namespace

std::string why(const SimulationResult& result) {
  if (result.out_of_memory) return "does not fit: " + result.out_of_memory_reason;
  const Figures f = figures(result);
  std::string text = limits_text(limits_of(result));
  const CacheResult& cache = result.decode_steps > 0 ? result.decode_cache : result.other_cache;
  if (f.path_cpu > 0) {
    text += "; the CPU computes " +
            percent(static_cast<double>(cache.computed_on_cpu) /
                    static_cast<double>(std::max<std::int64_t>(1, cache.hits + cache.misses))) +
            " of the activated experts, in " + percent(f.path_cpu) + " of the time; the GPU is busy " +
            percent(f.compute_utilisation);
  }
  if (result.tally.fetches == 0) return text + "; no expert is copied";
  text += "; " + percent(f.exposed_transfer_share) + " of the time waits for expert copies; ";
  text += percent(std::max(0.0, f.hidden_transfer_share)) + " of the copying hides behind computation";
  if (cache.hits > 0)
    text += "; " + percent(cache.hit_rate()) + " of the activated experts are there already";
  if (f.h2d_utilisation > 0.95) text += "; the link is never idle";
  return text;
}

std::string results_table(const RunConfiguration& run, const std::vector<SimulationResult>& results,
                          bool colour, const Confidences& confidences) {
  std::vector<Column> shown = columns();
  const bool some_on_cpu = std::any_of(results.begin(), results.end(), [](const SimulationResult& result) {
    return !result.out_of_memory && result.path.cpu().count > 0;
  });
  if (!some_on_cpu) std::erase_if(shown, [](const Column& column) { return column.head == "CPU"; });
  std::vector<std::string> head{"policy"};
  for (const Column& column : shown) head.push_back(column.head);
  TextTable table(head);
  std::vector<std::string> best;
  for (const Column& column : shown) best.push_back(best_of(column, results));
  for (const SimulationResult& result : results) {
    std::vector<std::string> row{result.policy.name};
    if (result.out_of_memory) {
      row.emplace_back("out of memory");
      row.resize(shown.size());
      row.push_back(gib(result.memory.total()));
    } else {
      const Figures f = figures(result);
      for (std::size_t i = 0; i < shown.size(); ++i) {
        const std::string cell = shown[i].print(shown[i].value(result, f));
        row.push_back(marked(cell, !best[i].empty() && cell == best[i]));
      }
    }
    table.add(std::move(row));
  }
  std::string text = heading(run) + table.text();
  if (results.size() > 1) text += "* best of its column. ";
  const Evidence evidence = results.empty() ? Evidence::simulated : results.front().evidence;
  text += std::string("All figures are ") + to_string(evidence) + ".\n\n";
  const std::string bold = colour ? "\033[1m" : "", plain = colour ? "\033[0m" : "";
  for (const SimulationResult& result : results)
    text += bold + result.policy.name + plain + ": " + why(result) + "\n";
  text += confidence_text(results, confidences);
  text += routing_span_text(results);
  for (const SimulationResult& result : results) {
    for (const std::string& note : result.notes) text += "note: " + result.policy.name + ": " + note + "\n";
  }
  for (const std::string& note : notes_of(run, results)) text += "note: " + note + "\n";
  return text;
}

}  // namespace pregate::sim
