// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "models/terminal_text.hpp"
#include "sim/report/report.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

constexpr int memory_rank = 1;  ///< of the column that results which did not run have too

/// How a column marks its best value.
enum class Best { most, least, unmarked };

struct Column {
  std::string head;
  Best best;
  int rank;  ///< the largest is the first that a narrow terminal leaves out; 0 stays
  double (*value)(const SimulationResult&, const Figures&);
  std::string (*print)(double);
};

const std::vector<Column>& columns() {
  static const std::vector<Column> all = {
      {"tokens/s", Best::most, 0, [](const SimulationResult&, const Figures& f) { return f.tokens_per_s; },
       three_digits},
      {"decode/s", Best::most, 0,
       [](const SimulationResult&, const Figures& f) { return f.decode_tokens_per_s; }, three_digits},
      {"TTFT ms", Best::least, 3, [](const SimulationResult&, const Figures& f) { return f.ttft_ms; },
       three_digits},
      {"TPOT ms", Best::least, 7, [](const SimulationResult&, const Figures& f) { return f.tpot_ms; },
       three_digits},
      {"block ms", Best::least, 5, [](const SimulationResult&, const Figures& f) { return f.block_mean_ms; },
       three_digits},
      {"p99", Best::least, 8, [](const SimulationResult&, const Figures& f) { return f.block_p99_ms; },
       three_digits},
      {"hits", Best::unmarked, 4, [](const SimulationResult&, const Figures& f) { return f.hit_rate; },
       percent},
      {"MiB/tok", Best::least, 6,
       [](const SimulationResult&, const Figures& f) { return f.h2d_bytes_per_token / (1 << 20); },
       three_digits},
      {"waits", Best::least, 2,
       [](const SimulationResult&, const Figures& f) { return f.exposed_transfer_share; }, percent},
      {"CPU", Best::unmarked, 2, [](const SimulationResult&, const Figures& f) { return f.path_cpu; },
       percent},
      {"GPU GiB", Best::least, memory_rank,
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
    if (!result.has_figures()) continue;
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

/// What stands in the place of figures.
const char* instead(const SimulationResult& result) {
  return result.out_of_memory ? "out of memory" : "interrupted";
}

TextTable table_of(const std::vector<const Column*>& shown, const std::vector<SimulationResult>& results) {
  std::vector<std::string> head{"policy"}, best;
  for (const Column* column : shown) {
    head.push_back(column->head);
    best.push_back(best_of(*column, results));
  }
  TextTable table(head);
  for (const SimulationResult& result : results) {
    std::vector<std::string> row{one_line(result.policy.name)};
    const Figures f = figures(result);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const bool is_known = shown[i]->rank == memory_rank && result.out_of_memory;
      if (!result.has_figures() && !is_known) {
        row.emplace_back(i == 0 ? instead(result) : "");
        continue;
      }
      const std::string cell = shown[i]->print(shown[i]->value(result, f));
      row.push_back(marked(cell, result.has_figures() && !best[i].empty() && cell == best[i]));
    }
    table.add(std::move(row), result.has_figures() ? 0 : 1);
  }
  return table;
}

/// The table, without the columns for which the layout has no room; a line says which.
std::string fitted_table(const std::vector<SimulationResult>& results, const TextLayout& layout) {
  std::vector<const Column*> shown;
  const bool some_on_cpu = std::any_of(results.begin(), results.end(), [](const SimulationResult& result) {
    return result.has_figures() && result.path.cpu().count > 0;
  });
  for (const Column& column : columns()) {
    if (some_on_cpu || column.head != "CPU") shown.push_back(&column);
  }
  std::string left_out;
  TextTable table = table_of(shown, results);
  while (!layout.all_columns && table.width() > layout.columns) {
    const auto least = std::max_element(shown.begin(), shown.end(),
                                        [](const Column* a, const Column* b) { return a->rank < b->rank; });
    if ((*least)->rank == 0) break;
    left_out += (left_out.empty() ? "" : ", ") + (*least)->head;
    shown.erase(least);
    table = table_of(shown, results);
  }
  std::string text = table.text();
  if (!left_out.empty())
    text +=
        "Left out at " + std::to_string(layout.columns) + " columns: " + left_out + " (--wide shows all).\n";
  return text;
}

std::string heading(const RunConfiguration& run) {
  std::string text = one_line(run.model.name) + " (" + run.model.expert_format.name + " experts of ";
  Bytes largest;
  for (const Stack& stack : run.model.stacks) largest = std::max(largest, run.model.expert_bytes(stack));
  text += to_string(largest) + ") on " + one_line(run.machine.name) +
          (run.machine.replaced_host.empty() ? "" : " with host " + one_line(run.machine.replaced_host)) +
          " [" + run.machine.calibration + "]\n";
  text += "trace " + one_line(run.trace_path) + ": " + std::to_string(run.trace.requests) + " requests, " +
          std::to_string(run.trace.tokens) + " tokens, " + std::to_string(run.trace.routed_entries) +
          " routed entries";
  if (run.batch > 1) text += ", batches of " + std::to_string(run.batch);
  return text + "\n\n";
}

}  // namespace

std::string why(const SimulationResult& result) {
  if (result.out_of_memory) {
    return "does not fit: " + result.out_of_memory_reason + ". " +
           (result.fits_with.any() ? "It fits with " + result.fits_with.text()
                                   : "No cache size and no single weight format makes it fit");
  }
  if (!result.has_figures()) return "interrupted before its first pass";
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
                          const TextLayout& layout, const Confidences& confidences) {
  std::string legend = results.size() > 1 ? "* best of its column. " : "";
  const Evidence evidence = results.empty() ? Evidence::simulated : results.front().evidence;
  legend += std::string("All figures are ") + to_string(evidence) + ".\n\n";
  std::string text = folded(heading(run), layout) + fitted_table(results, layout) + folded(legend, layout);
  for (const SimulationResult& result : results) {
    const std::string name = one_line(result.policy.name);
    std::string line = folded(name + ": " + one_line(why(result)) + "\n", layout);
    if (layout.colour && line.starts_with(name))
      line = "\033[1m" + name + "\033[0m" + line.substr(name.size());
    text += line;
  }
  text += folded(confidence_text(results, confidences), layout);
  text += folded(routing_span_text(results), layout);
  std::string notes;
  for (const SimulationResult& result : results) {
    for (const std::string& note : result.notes)
      notes += "note: " + one_line(result.policy.name) + ": " + one_line(note) + "\n";
  }
  for (const std::string& note : notes_of(run, results)) notes += "note: " + one_line(note) + "\n";
  return text + folded(notes, layout);
}

}  // namespace pregate::sim
