// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/case.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "models/error.hpp"
#include "validation/published/case_reader.hpp"
#include "validation/published/embedded.hpp"
#include "validation/published/own_case.hpp"

namespace pregate::validation {

namespace {

struct Kind {
  const char* name;
  std::unique_ptr<Experiment> (*read)(TableReader& top);
};

constexpr std::array kinds = {Kind{"offload", read_offload_case}, Kind{"kernels", read_kernel_case},
                              Kind{"copies", read_copy_case},     Kind{"cache-replay", read_replay_case},
                              Kind{"systems", read_system_case},  Kind{"serving", read_serving_case},
                              Kind{"cpu-products", read_cpu_case}};

Source read_source(TableReader table) {
  Source source{table.text("paper"), table.text("table"), table.text("repository"), table.text("commit"),
                table.text("licence")};
  table.finish();
  return source;
}

std::vector<MetricDefinition> read_metrics(TableReader table) {
  std::vector<MetricDefinition> metrics;
  for (const Member& member : table.node().members) metrics.push_back({member.key, table.text(member.key)});
  if (metrics.empty()) throw InputError(table.where(), "no metric is defined");
  return metrics;
}

Gate read_gate(TableReader& table) {
  Gate gate;
  gate.metric = table.text("metric");
  gate.series = table.text_or("series", "");
  gate.measure = choice<Measure>(table, "measure",
                                 {{"mape", Measure::mape},
                                  {"worst", Measure::worst},
                                  {"worst-points", Measure::worst_points},
                                  {"bias", Measure::bias},
                                  {"order", Measure::order},
                                  {"order-share", Measure::order_share},
                                  {"exact", Measure::exact}});
  gate.limit = table.number("limit");
  if (gate.limit < 0 || gate.limit > 1000) {
    throw InputError(table.where("limit"), "is not a threshold", "0 to 1000, in per cent, points or rows");
  }
  gate.reason = table.text("reason");
  const bool orders = gate.measure == Measure::order || gate.measure == Measure::order_share;
  if (orders && table.has("apart")) gate.apart = table.number("apart");
  if (!(gate.apart >= 0 && gate.apart <= 1000)) {
    throw InputError(table.where("apart"), "is not a difference", "0 to 1000, in per cent");
  }
  table.finish();
  return gate;
}

std::unique_ptr<Experiment> read_experiment(TableReader& top, const std::string& name) {
  std::vector<std::string> names;
  for (const Kind& kind : kinds) {
    if (name == kind.name) return kind.read(top);
    names.emplace_back(kind.name);
  }
  throw InputError(top.where("kind"), "no kind of case is named '" + printable(name) + "'",
                   suggest(name, names));
}

Case read_case(Node document, const std::string& where, const std::string& name) {
  document.where = where;
  TableReader top(document, "");
  Case result;
  result.name = name;
  result.title = top.text("title");
  result.kind = top.text("kind");
  result.hardware = top.text("hardware");
  result.software = top.text("software");
  result.model = top.text("model");
  result.workload = top.text("workload");
  result.source = read_source(top.table("source"));
  result.traps = read_texts(top, "traps");
  result.assumptions = read_texts(top, "assumptions");
  result.metrics = read_metrics(top.table("metrics"));
  for (TableReader& gate : top.tables("gate")) result.gates.push_back(read_gate(gate));
  if (result.gates.empty()) {
    throw InputError(where, "the case has no [[gate]]", "a case that cannot fail shows nothing");
  }
  result.experiment = read_experiment(top, result.kind);
  top.finish();
  return result;
}

std::string metrics_of(const CaseResult& result) {
  std::set<std::string> names;
  for (const Row& row : result.rows) names.insert(row.metric);
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + printable(name);
  return text;
}

}  // namespace

bool DataFolder::has(const std::string& file) const {
  std::error_code ignored;
  return !root.empty() && std::filesystem::exists(root / file, ignored);
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_cases()) names.emplace_back(file.name);
  std::sort(names.begin(), names.end());
  return names;
}

Case load_case(const std::string& name) {
  if (is_path(name)) {
    OwnCase own = read_own_case(name);
    Case result = read_case(std::move(own.document), own.where, own.name);
    result.folder = own.folder;
    return result;
  }
  for (const EmbeddedFile& file : embedded_cases()) {
    if (file.name == name) return parse_case(file.text, name + ".toml", name);
  }
  throw InputError("case", "no published case named '" + printable(name) + "'",
                   suggest(name, case_names()) + "; a case of your own is a path that ends in .toml");
}

Case parse_case(std::string_view text, const std::string& where, const std::string& name) {
  return read_case(parse_toml_document(text, where), where, name);
}

CaseResult evaluate(const Case& published, const DataFolder& data) {
  CaseResult result;
  published.experiment->evaluate(data, result);
  if (!published.folder.empty() && !result.skipped.empty()) {
    throw InputError(
        "case " + printable(published.name),
        printable(result.skipped.front(), 200) + ", which is not in " + printable(data.root.string(), 200),
        "recordings are looked for beside the case, or in the folder that --data names");
  }
  judge(published.gates, result);
  for (const GateResult& gate : result.gates) {
    if (published.folder.empty() || gate.applied()) continue;
    throw InputError("case " + printable(published.name),
                     "no predicted row that is gated has the metric of the gate '" +
                         printable(gate.gate.metric) + "' " + to_string(gate.gate.measure),
                     "a gate that is held against nothing would pass for one that holds; the rows are of: " +
                         metrics_of(result));
  }
  return result;
}

}  // namespace pregate::validation
