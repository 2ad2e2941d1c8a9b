// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "models/error.hpp"
#include "traces/synthetic.hpp"
#include "validation/offload_setup.hpp"

namespace pregate::validation {

namespace {

void require_name(const TableReader& table, const char* key, const std::string& name,
                  const std::vector<std::string>& valid) {
  if (std::find(valid.begin(), valid.end(), name) != valid.end()) return;
  throw InputError(table.where(key), "'" + printable(name) + "' is not known", suggest(name, valid));
}

std::vector<Override> read_overrides(TableReader& table, const char* key) {
  std::vector<Override> overrides;
  for (const std::string& text : read_texts(table, key)) {
    try {
      overrides.push_back(parse_override(text));
    } catch (const InputError& error) {
      throw InputError(table.where(key), error.what());
    }
  }
  return overrides;
}

Workload read_workload(TableReader& table) {
  Workload workload;
  workload.name = table.text("name");
  workload.label = table.text_or("label", "");
  std::ignore = table.text("routing");
  workload.routing = table.choice_or<Routing>(
      "routing",
      {{"forced", Routing::forced}, {"recorded", Routing::recorded}, {"profile", Routing::profile}},
      Routing::forced);
  const auto integer = [&](const char* key, int least, int most, int fallback) {
    return static_cast<int>(table.integer_or(key, least, most, fallback));
  };
  switch (workload.routing) {
    case Routing::forced:
      workload.batch = integer("batch", 1, 4096, 1);
      workload.active = static_cast<int>(table.integer("active", 1, 4096));
      workload.encoder_tokens = integer("encoder_tokens", 0, 4096, 256);
      workload.decode_steps = integer("decode_steps", 1, 65'536, 256);
      break;
    case Routing::recorded:
      workload.file = table.text("file");
      break;
    case Routing::profile:
      workload.profile = table.text("profile");
      require_name(table, "profile", workload.profile, trace::profile_names());
      workload.requests = integer("requests", 1, 1000, 1);
      break;
  }
  workload.set = read_overrides(table, "set");
  table.finish();
  return workload;
}

OffloadConstant read_constant(TableReader& table) {
  OffloadConstant constant;
  constant.unknown.name = table.text("name");
  constant.unit = table.text("unit");
  constant.meaning = table.text("meaning");
  constant.unknown.least = table.number("least");
  constant.unknown.most = table.number("most");
  constant.unknown.start = table.number("start");
  const Unknown& unknown = constant.unknown;
  if (!(unknown.least < unknown.most && unknown.least <= unknown.start && unknown.start <= unknown.most)) {
    throw InputError(table.where("start"), "least, start and most are not in order");
  }
  for (TableReader& target : table.tables("sets")) {
    const double factor = target.number("factor");
    if (!(factor > 0 && factor <= 1e6)) throw InputError(target.where("factor"), "must be above 0");
    constant.targets.push_back({target.text("path"), factor});
    target.finish();
  }
  if (constant.targets.empty()) throw InputError(table.where("sets"), "the constant sets nothing");
  table.finish();
  return constant;
}

OffloadAggregate read_aggregate(TableReader& table) {
  OffloadAggregate aggregate;
  using Mean = OffloadAggregate::Mean;
  aggregate.name = table.text("name");
  aggregate.figure = table.text("figure");
  aggregate.of = table.text("of");
  aggregate.over = table.text_or("over", "");
  aggregate.models = read_texts(table, "models");
  aggregate.mean = table.choice_or<Mean>(
      "mean", {{"geometric", Mean::geometric}, {"arithmetic", Mean::arithmetic}, {"largest", Mean::largest}},
      Mean::geometric);
  aggregate.paper = table.number("paper");
  aggregate.digits = static_cast<int>(table.integer("digits", 0, 6));
  table.finish();
  return aggregate;
}

/// Reads the rows of one [[series]]; names of models, designs, workloads and constants must exist.
void read_series(TableReader& table, OffloadSetup& setup) {
  const std::string series = table.text("figure");
  const std::string file = table.text("file");
  const std::string note = table.text_or("note", "");
  std::ignore = table.text("metric");
  const auto metric = table.choice_or<OffloadMetric>("metric",
                                                     {{"block_latency_ms", OffloadMetric::block_latency},
                                                      {"tokens_per_s", OffloadMetric::tokens_per_s},
                                                      {"peak_bytes", OffloadMetric::peak_bytes},
                                                      {"hit_rate", OffloadMetric::hit_rate}},
                                                     OffloadMetric::block_latency);
  const std::vector<std::string> models = model_names(), policies = policy_names();
  std::vector<std::string> workloads, constants;
  for (const Workload& workload : setup.workloads) workloads.push_back(workload.name);
  for (const OffloadConstant& constant : setup.constants) constants.push_back(constant.unknown.name);
  for (TableReader& entry : table.tables("rows")) {
    OffloadRow row;
    row.series = series;
    row.file = file;
    row.note = note;
    row.metric = metric;
    row.model = entry.text("model");
    require_name(entry, "model", row.model, models);
    row.design = entry.text("design");
    require_name(entry, "design", row.design, policies);
    const std::string workload = entry.text("workload");
    require_name(entry, "workload", workload, workloads);
    row.workload =
        static_cast<std::size_t>(std::find(workloads.begin(), workloads.end(), workload) - workloads.begin());
    row.published = entry.number("published");
    if (row.published < 0 || row.published > 1e18) {
      throw InputError(entry.where("published"), "is not a measurement");
    }
    row.column = entry.text("column");
    row.line = static_cast<int>(entry.integer_or("line", 1, 100'000, 1));
    row.printed_as_zero = entry.boolean_or("printed_as_zero", false);
    row.fixes = entry.text_or("fixes", "");
    if (!row.fixes.empty()) {
      require_name(entry, "fixes", row.fixes, constants);
      if (row.published == 0) throw InputError(entry.where("fixes"), "a run that did not fit fixes nothing");
    }
    entry.finish();
    setup.rows.push_back(row);
  }
  table.finish();
}

}  // namespace

const char* metric_name(OffloadMetric metric) {
  switch (metric) {
    case OffloadMetric::block_latency:
      return "block_latency_ms";
    case OffloadMetric::tokens_per_s:
      return "tokens_per_s";
    case OffloadMetric::peak_bytes:
      return "peak_bytes";
    case OffloadMetric::hit_rate:
      return "hit_rate";
  }
  return "";
}

OffloadSetup read_offload_setup(TableReader& top) {
  OffloadSetup setup;
  setup.machine = top.text("machine");
  require_name(top, "machine", setup.machine, machine_names());
  setup.set = read_overrides(top, "set");
  setup.memory_set = read_overrides(top, "memory_set");
  for (TableReader& table : top.tables("run")) setup.workloads.push_back(read_workload(table));
  for (TableReader& table : top.tables("constant")) setup.constants.push_back(read_constant(table));
  for (TableReader& table : top.tables("series")) read_series(table, setup);
  for (TableReader& table : top.tables("aggregate")) setup.aggregates.push_back(read_aggregate(table));
  if (setup.rows.empty()) throw InputError(top.where("series"), "the case has no rows");
  for (const OffloadConstant& constant : setup.constants) {
    const auto rows = std::count_if(setup.rows.begin(), setup.rows.end(), [&](const OffloadRow& row) {
      return row.fixes == constant.unknown.name;
    });
    if (rows != 1) {
      throw InputError(top.where("constant"), "the constant '" + printable(constant.unknown.name) +
                                                  "' is fixed by " + std::to_string(rows) + " rows, not one");
    }
  }
  return setup;
}

}  // namespace pregate::validation
