// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "cli/advise/advice.hpp"
#include "cli/advise/asked.hpp"
#include "models/terminal_text.hpp"
#include "sim/report/report.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::cli {

namespace {

using sim::in_gib;
using sim::TextTable;
using sim::three_digits;

std::string range_of(const Tried& tried) {
  if (!tried.confidence) return "-";
  const sim::RateRange range = tried.confidence->range_of(tried.rate());
  return range.exists() ? three_digits(range.least) + "-" + three_digits(range.most) : "-";
}

std::string first_token(const Tried& tried) {
  return tried.result.ttft_ms > 0 ? three_digits(tried.result.ttft_ms / 1e3) : "-";
}

std::string with_knobs(const Tried& tried) {
  return name_of(tried.way) + (tried.knobs.empty() ? "" : ", " + tried.knobs);
}

std::string rates(const Tried& tried) {
  std::string text = three_digits(tried.rate()) + " tokens/s";
  if (range_of(tried) != "-") text += " (" + range_of(tried) + ")";
  if (tried.result.ttft_ms > 0)
    text += ", first token after " + three_digits(tried.result.ttft_ms / 1e3) + " s";
  return text;
}

std::vector<const Tried*> by_rate(const std::vector<Tried>& all, bool with_command) {
  std::vector<const Tried*> sorted;
  for (const Tried& each : all)
    if (each.runs() && with_command != each.command.empty()) sorted.push_back(&each);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Tried* a, const Tried* b) { return a->rate() > b->rate(); });
  return sorted;
}

std::string settings_table(const Advice& advice) {
  TextTable table({"setting", "tok/s", "range", "TTFT s", "GPU GiB", "host"});
  for (const bool with_command : {true, false}) {
    const std::vector<const Tried*> sorted = by_rate(advice.tried, with_command);
    if (sorted.empty()) continue;
    table.add_section(with_command ? "that can be run" : "research: no release runs it");
    for (const Tried* each : sorted) {
      table.add({"  " + name_of(each->way), three_digits(each->rate()), range_of(*each), first_token(*each),
                 in_gib(each->result.memory.total()), in_gib(each->result.memory.host)});
    }
  }
  return table.text();
}

std::string left_out(const Advice& advice) {
  std::string text;
  for (const Tried& each : advice.tried) {
    if (each.runs()) continue;
    text += "left out: " + name_of(each.way) + ": " +
            (each.left_out.empty() ? each.result.out_of_memory_reason : each.left_out) + "\n";
  }
  return text;
}

std::string gain(double from, double to) {
  if (from <= 0) return "now runs";
  const long percent = std::lround(100 * (to / from - 1));
  return percent == 0 ? "none" : (percent > 0 ? "+" : "") + std::to_string(percent) + " %";
}

std::string upgrades_table(const Advice& advice) {
  const Tried* best = fastest(advice.tried, true);
  TextTable table({"with", "tok/s", "gain", "TTFT s", "then run"});
  for (const Upgraded& each : advice.upgraded) {
    if (!each.best.runs()) {
      table.add({each.name, "-", "none fits", "-", ""});
    } else {
      table.add({each.name, three_digits(each.best.rate()),
                 gain(best != nullptr ? best->rate() : 0, each.best.rate()), first_token(each.best),
                 name_of(each.best.way)});
    }
  }
  return table.text();
}

std::string head(const Advice& advice) {
  const sim::RunConfiguration& run = advice.configuration;
  std::string text =
      one_line(run.model.name) + " (" + run.model.expert_format.name + " experts) on " +
      with_number(one_line(run.machine.name), run.machine) +
      (run.machine.replaced_host.empty() ? "" : " with host " + one_line(run.machine.replaced_host));
  if (run.routing)
    text += "; a prompt of " + std::to_string(run.routing->prompt_tokens) + " tokens, an answer of " +
            std::to_string(run.routing->output_tokens);
  return text + "\n\n";
}

}  // namespace

std::string label_of(const Advice& advice) {
  return with_number(advice.machine, advice.configuration.machine);
}

std::string name_of(const Way& way) { return way.label + (way.weights.empty() ? "" : ", " + way.weights); }

std::string advice_text(const Advice& advice, const sim::TextLayout& layout) {
  const Tried* best = advice.best();
  std::string text = folded(head(advice), layout);
  if (best == nullptr) {
    return text + folded("Nothing fits.\n" + left_out(advice), layout) + "\n" + upgrades_table(advice);
  }
  if (!best->command.empty()) {
    text += "Run it like this:\n  " + best->command + "\n";
  } else {
    text += "Nothing that can simply be run fits; the best of research:\n  " + with_knobs(*best) + "\n";
  }
  const std::string over_all = "Over prompt and answer: ";  // tokens/s are of the answer alone
  text += folded(rates(*best) + (best->knobs.empty() ? "" : "; " + best->knobs) + ".\n" + over_all +
                     sim::why(best->result) + "\n\n",
                 layout);
  text += settings_table(advice) + "\n";
  if (!advice.upgraded.empty()) text += "What an upgrade would bring\n" + upgrades_table(advice) + "\n";
  text += folded(sim::confidence_text({best->result}, {best->confidence}), layout);
  std::string notes = left_out(advice);
  for (const std::string& note : advice.configuration.notes) notes += "note: " + one_line(note) + "\n";
  notes +=
      "note: tokens/s are those while it answers; a range says how far published rates of the like were off "
      "(docs/validation/confidence.md)\n";
  return text + folded(notes, layout);
}

std::string machines_text(const std::vector<Advice>& machines, double wanted, const sim::TextLayout& layout) {
  TextTable table({"machine", "GiB", "tok/s", "range", "TTFT s", "run"});
  const Advice* reaches = nullptr;
  const Advice* most = nullptr;
  for (const Advice& advice : machines) {
    const Tried* best = fastest(advice.tried, true);
    const std::string name = label_of(advice);
    const std::string memory = in_gib(gpu_memory_of_host(advice.configuration.machine));
    if (best == nullptr) {
      table.add({name, memory, "-", "", "", "does not fit"});
      continue;
    }
    if (wanted > 0 && reaches == nullptr && best->rate() >= wanted) reaches = &advice;
    if (most == nullptr || best->rate() > fastest(most->tried, true)->rate()) most = &advice;
    table.add({(reaches == &advice ? "* " : "  ") + name, memory,
               sim::three_digits_below(best->rate(), wanted), range_of(*best), first_token(*best),
               name_of(best->way)});
  }
  std::string text = table.text() + "\n";
  if (reaches != nullptr) {
    const Tried& best = *fastest(reaches->tried, true);
    text += "* the first that reaches " + three_digits(wanted) + " tokens/s: " + label_of(*reaches) + ", " +
            rates(best) + "\n  " + best.command + "\n";
  } else if (most != nullptr) {
    text += "The fastest: " + label_of(*most) + ", " + rates(*fastest(most->tried, true)) + "\n";
  }
  return text +
         folded(
             "note: the catalogue knows no prices: machines are in the order given, or by GPU memory and its "
             "rate\n",
             layout);
}

}  // namespace pregate::cli
