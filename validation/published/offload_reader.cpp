// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/offload_setup.hpp"

#include "models/error.hpp"
#include "traces/synthetic.hpp"

namespace pregate::validation {

namespace {

Workload read_workload(TableReader& table) {
  Workload workload;
  workload.name = table.text("name");
  workload.label = table.text_or("label", "");
  workload.routing = choice<Routing>(
      table, "routing",
      {{"forced", Routing::forced}, {"recorded", Routing::recorded}, {"profile", Routing::profile}});
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
      workload.profile = trace::profile_names()[known(table, "profile", trace::profile_names())];
      workload.requests = integer("requests", 1, 1000, 1);
      break;
  }
  workload.set = read_overrides(table, "set");
  table.finish();
  return workload;
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
  const auto metric = choice<OffloadMetric>(table, "metric",
                                            {{"block_latency_ms", OffloadMetric::block_latency},
                                             {"tokens_per_s", OffloadMetric::tokens_per_s},
                                             {"peak_bytes", OffloadMetric::peak_bytes},
                                             {"hit_rate", OffloadMetric::hit_rate}});
  const std::vector<std::string> models = model_names(), policies = policy_names();
  const auto workloads = names_of(setup.workloads, [](const Workload& item) { return item.name; });
  const auto constants = names_of(setup.constants, [](const Constant& item) { return item.unknown.name; });
  for (TableReader& entry : table.tables("rows")) {
    OffloadRow row;
    row.series = series;
    row.file = file;
    row.note = note;
    row.metric = metric;
    row.model = models[known(entry, "model", models)];
    row.design = policies[known(entry, "design", policies)];
    row.workload = known(entry, "workload", workloads);
    row.published = entry.number("published");
    if (row.published < 0 || row.published > 1e18) {
      throw InputError(entry.where("published"), "is not a measurement");
    }
    row.column = entry.text("column");
    row.line = static_cast<int>(entry.integer_or("line", 1, 100'000, 1));
    row.printed_as_zero = entry.boolean_or("printed_as_zero", false);
    row.fixes = entry.text_or("fixes", "");
    if (!row.fixes.empty()) {
      std::ignore = known(entry, "fixes", constants);
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
  setup.machine = machine_names()[known(top, "machine", machine_names())];
  setup.set = read_overrides(top, "set");
  setup.memory_set = read_overrides(top, "memory_set");
  for (TableReader& table : top.tables("run")) setup.workloads.push_back(read_workload(table));
  for (TableReader& table : top.tables("constant")) setup.constants.push_back(read_constant(table));
  for (TableReader& table : top.tables("series")) read_series(table, setup);
  for (TableReader& table : top.tables("aggregate")) setup.aggregates.push_back(read_aggregate(table));
  if (setup.rows.empty()) throw InputError(top.where("series"), "the case has no rows");
  check_fixed_once(top, setup.constants, setup.rows);
  return setup;
}

}  // namespace pregate::validation
