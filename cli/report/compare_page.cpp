// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/compare_page.hpp"

#include <algorithm>

#include "cli/advise/asked.hpp"
#include "cli/report/result_charts.hpp"
#include "cli/report/sortable_table.hpp"
#include "sim/report/metrics.hpp"
#include "sim/report/text_table.hpp"
#include "validation/report/page.hpp"

namespace pregate::cli {

namespace {

namespace html = validation::html;
using sim::three_digits;

double rate_of(const sim::SimulationResult& result) {
  return result.decode_steps > 0 ? result.decode_tokens_per_second() : result.tokens_per_second();
}

Charted charted(const std::string& name, const sim::SimulationResult& result,
                const std::optional<sim::Confidence>& confidence) {
  Charted run{
      .name = name, .rate = rate_of(result), .range = {}, .gpu_gib = 0, .limits = sim::limits_of(result)};
  if (confidence) run.range = confidence->range_of(run.rate);
  run.gpu_gib = static_cast<double>(result.memory.total().count) / (1LL << 30);
  return run;
}

std::string range_text(const sim::RateRange& range) {
  return range.exists() ? three_digits(range.least) + " to " + three_digits(range.most) : "unknown";
}

std::string charts(const std::vector<Charted>& runs) {
  if (runs.empty()) return {};
  return "<div class=\"wide\">" + rates_chart(runs) + "</div>\n<div class=\"wide\">" + time_chart(runs) +
         "</div>\n<div class=\"wide\">" + memory_chart(runs) + "</div>\n";
}

std::string results_rows(const std::vector<sim::SimulationResult>& results) {
  std::vector<const sim::Metric*> columns;
  for (const sim::Metric& metric : sim::metrics())
    if (metric.table) columns.push_back(&metric);
  std::vector<std::string> head{"policy"};
  for (const sim::Metric* metric : columns) head.push_back(metric->table->head);
  std::vector<std::vector<std::string>> rows;
  for (const sim::SimulationResult& result : results) {
    std::vector<std::string> row{result.policy.name};
    for (const sim::Metric* metric : columns) {
      const bool is_known = has(result, *metric);
      row.push_back(is_known
                        ? metric->table->print(sim::as_number(metric->value(result)) / metric->table->divisor)
                        : "does not fit");
    }
    rows.push_back(std::move(row));
  }
  return sortable_table(head, rows);
}

std::string folded_text(const std::string& title, const std::string& text) {
  return "<details><summary>" + html::escaped(title) + "</summary><pre>" + html::escaped(text) +
         "</pre></details>\n";
}

std::string paragraph(const std::string& text) { return "<p>" + html::escaped(text) + "</p>\n"; }

std::string workload_of(const sim::RunConfiguration& run) {
  return run.machine.name + ", trace " + run.trace_path + ": " + std::to_string(run.trace.requests) +
         " requests, " + std::to_string(run.trace.tokens) + " tokens. All figures are simulated.";
}

std::string title_of(const sim::RunConfiguration& run, const std::string& machine) {
  return run.model.name + " (" + run.model.expert_format.name + " experts) on " + machine;
}

std::string settings_rows(const Advice& advice) {
  std::vector<std::vector<std::string>> rows;
  for (const Tried& each : advice.tried) {
    if (!each.runs()) continue;
    const sim::RateRange range = each.confidence ? each.confidence->range_of(each.rate()) : sim::RateRange{};
    rows.push_back({name_of(each.way), each.command.empty() ? "no" : "yes", three_digits(each.rate()),
                    range_text(range), three_digits(each.result.ttft_ms / 1e3),
                    three_digits(static_cast<double>(each.result.memory.total().count) / (1LL << 30)),
                    each.knobs});
  }
  return sortable_table({"setting", "can be run", "tokens/s", "range", "TTFT s", "GPU GiB", "with"}, rows);
}

std::string command_of(const Tried& tried) {
  return tried.command.empty() ? paragraph(name_of(tried.way) + ", " + tried.knobs)
                               : "<pre class=\"command\">" + html::escaped(tried.command) + "</pre>\n";
}

}  // namespace

std::string compare_page(const sim::RunConfiguration& run, const std::vector<sim::SimulationResult>& results,
                         const sim::Confidences& confidences) {
  std::vector<Charted> runs;
  const sim::SimulationResult* best = nullptr;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i].has_figures()) continue;
    runs.push_back(
        charted(results[i].policy.name, results[i], i < confidences.size() ? confidences[i] : std::nullopt));
    if (best == nullptr || rate_of(results[i]) > rate_of(*best)) best = &results[i];
  }
  const std::string title = title_of(run, run.machine.name);
  std::string body = "<h1>" + html::escaped(title) + "</h1>\n";
  if (best == nullptr) {
    body += paragraph("Nothing fits.");
  } else {
    const auto of_best = std::find_if(runs.begin(), runs.end(),
                                      [&](const Charted& each) { return each.name == best->policy.name; });
    body += paragraph("The fastest is " + best->policy.name + ": " + three_digits(of_best->rate) +
                      " tokens/s while it answers (" + range_text(of_best->range) +
                      "). Over prompt and answer: " + sim::why(*best) + ".");
  }
  body += paragraph(workload_of(run)) + charts(runs) + "<h2>All figures</h2>\n" + results_rows(results);
  body += "<h2>Why</h2>\n<dl>\n";
  for (const sim::SimulationResult& result : results)
    body += "<dt>" + html::escaped(result.policy.name) + "</dt><dd>" + html::escaped(sim::why(result)) +
            "</dd>\n";
  body += "</dl>\n";
  std::vector<std::string> notes;
  for (const auto& each : run.left_out) notes.push_back("left out: " + each.policy + ": " + each.reason);
  for (const std::string& note : notes_of(run, results)) notes.push_back(note);
  body += html::list("Notes", notes) + "<h3>How sure</h3><pre class=\"words\">" +
          html::escaped(sim::confidence_text(results, confidences)) + "</pre>\n" +
          folded_text("Resolved configuration and all results (JSON)",
                      sim::results_json(run, results, confidences));
  return html::page(title, body);
}

std::string advice_page(const Advice& advice) {
  const sim::RunConfiguration& run = advice.configuration;
  const std::string title = title_of(run, label_of(advice));
  std::string body = "<h1>" + html::escaped(title) + "</h1>\n";
  const Tried* best = advice.best();
  if (best == nullptr) {
    body += paragraph("Nothing fits.");
  } else {
    const Charted of_it = charted("", best->result, best->confidence);
    body += paragraph("Run it like this: " + three_digits(of_it.rate) + " tokens/s while it answers (" +
                      range_text(of_it.range) + ").") +
            command_of(*best) +
            paragraph(best->knobs + (best->knobs.empty() ? "" : "; ") +
                      "over prompt and answer: " + sim::why(best->result) + ".");
  }
  std::vector<Charted> runs;
  for (const Tried& each : advice.tried)
    if (each.runs()) {
      runs.push_back(charted(name_of(each.way), each.result, each.confidence));
      runs.back().is_research = each.command.empty();
    }
  std::stable_sort(runs.begin(), runs.end(),
                   [](const Charted& a, const Charted& b) { return a.rate > b.rate; });
  body += paragraph("Grey bars are research: no release runs it.") + charts(runs) + "<h2>Settings</h2>\n" +
          settings_rows(advice);
  if (!advice.upgraded.empty()) {
    std::vector<std::vector<std::string>> rows;
    for (const Upgraded& each : advice.upgraded) {
      const bool runs_then = each.best.runs();
      rows.push_back(
          {each.name, runs_then ? three_digits(each.best.rate()) : "does not fit",
           runs_then && each.best.result.ttft_ms > 0 ? three_digits(each.best.result.ttft_ms / 1e3) : "-",
           runs_then ? name_of(each.best.way) : "", runs_then ? each.best.knobs : ""});
    }
    body += "<h2>What an upgrade would bring</h2>\n" +
            sortable_table({"with", "tokens/s", "TTFT s", "then run", "with"}, rows);
  }
  std::vector<std::string> notes = run.notes;
  for (const Tried& each : advice.tried) {
    if (!each.runs())
      notes.push_back("left out: " + name_of(each.way) + ": " +
                      (each.left_out.empty() ? each.result.out_of_memory_reason : each.left_out));
  }
  body += html::list("Notes", notes) + folded_text("All of it (JSON)", advice_json({advice}, 0));
  return html::page(title, body);
}

std::string machines_page(const std::vector<Advice>& machines, double wanted) {
  std::vector<Charted> runs;
  std::vector<std::string> notes{
      "the catalogue knows no prices: machines are in the order given, or by GPU memory and its rate"};
  std::vector<std::vector<std::string>> rows;
  std::string answer = wanted > 0 ? "Nothing reaches " + three_digits(wanted) + " tokens/s." : "";
  bool is_answered = false;
  for (const Advice& advice : machines) {
    const Tried* best = fastest(advice.tried, true);
    if (best == nullptr) {
      notes.push_back(label_of(advice) + ": nothing fits");
      continue;
    }
    const Charted& run = runs.emplace_back(charted(label_of(advice), best->result, best->confidence));
    rows.push_back({label_of(advice),
                    three_digits(static_cast<double>(gpu_memory_of_host(advice.configuration.machine).count) /
                                 (1LL << 30)),
                    sim::three_digits_below(run.rate, wanted), range_text(run.range),
                    three_digits(best->result.ttft_ms / 1e3), best->command});
    if (wanted > 0 && !is_answered && run.rate >= wanted) {
      is_answered = true;
      answer = "The first that reaches " + three_digits(wanted) + " tokens/s is " + label_of(advice) + ": " +
               three_digits(run.rate) + " (" + range_text(run.range) + "): " + best->command;
    }
  }
  const std::string title = machines.front().configuration.model.name + ": which machine?";
  std::string body = "<h1>" + html::escaped(title) + "</h1>\n" + paragraph(answer) + charts(runs) +
                     sortable_table({"machine", "GPU GiB", "tokens/s", "range", "TTFT s", "run"}, rows) +
                     html::list("Notes", notes) +
                     folded_text("All of it (JSON)", advice_json(machines, wanted));
  return html::page(title, body);
}

}  // namespace pregate::cli
