// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/offload_setup.hpp"

#include <initializer_list>
#include <string_view>

#include "models/error.hpp"
#include "traces/synthetic.hpp"

namespace pregate::validation {

namespace {

/// What a part of the case has no use for would be left out without a word.
void check_roots(TableReader& table, std::string_view key, const std::string& path,
                 std::initializer_list<std::string_view> roots) {
  std::string valid;
  for (const std::string_view root : roots) {
    if (path.starts_with(std::string(root) + ".")) return;
    valid += (valid.empty() ? "" : ", ") + std::string(root) + ".";
  }
  throw InputError(table.where(key), "'" + printable(path, 100) + "' has no effect here",
                   "starts with: " + valid);
}

void check_roots(TableReader& table, std::string_view key, const std::vector<Override>& set,
                 std::initializer_list<std::string_view> roots) {
  for (const Override& each : set) check_roots(table, key, each.path, roots);
}

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
      if (std::int64_t{workload.batch} * workload.encoder_tokens > trace::max_step_tokens)
        throw InputError(table.where("encoder_tokens"), "the encoder's pass has too many tokens",
                         "at most " + std::to_string(trace::max_step_tokens) + ", of the whole batch");
      break;
    case Routing::recorded:
      workload.file = table.text("file");
      break;
    case Routing::profile:
      workload.profile = name_or_path(table, "profile", trace::profile_names());
      workload.requests = integer("requests", 1, 1000, 1);
      break;
  }
  workload.set = read_overrides(table, "set");
  check_roots(table, "set", workload.set, {"policy", "model"});
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
  const std::string file = table.text_or("file", "");
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
    row.model = name_or_path(entry, "model", models);
    row.design = name_or_path(entry, "design", policies);
    row.workload = known(entry, "workload", workloads);
    row.published = entry.number("published");
    if (row.published < 0 || row.published > 1e18) {
      throw InputError(entry.where("published"), "is not a measurement");
    }
    if (!file.empty()) row.column = entry.text("column");
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
  setup.machine = name_or_path(top, "machine", machine_names());
  setup.set = read_overrides(top, "set");
  setup.memory_set = read_overrides(top, "memory_set");
  check_roots(top, "set", setup.set, {"machine", "policy", "model", "software"});
  check_roots(top, "memory_set", setup.memory_set, {"policy"});
  for (TableReader& table : top.tables("run")) setup.workloads.push_back(read_workload(table));
  for (TableReader& table : top.tables("constant")) {
    setup.constants.push_back(read_constant(table));
    for (const Constant::Target& target : setup.constants.back().targets)
      check_roots(table, "sets", target.path, {"machine", "software"});
  }
  for (TableReader& table : top.tables("series")) read_series(table, setup);
  for (TableReader& table : top.tables("aggregate")) setup.aggregates.push_back(read_aggregate(table));
  if (setup.rows.empty()) throw InputError(top.where("series"), "the case has no rows");
  check_fixed_once(top, setup.constants, setup.rows);
  return setup;
}

}  // namespace pregate::validation
