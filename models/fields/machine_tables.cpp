// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/fields/machine_tables.hpp"

#include <algorithm>
#include <utility>

#include "models/error.hpp"
#include "models/readers.hpp"

namespace pregate {
namespace {

Field table_field(std::string key, std::string json, std::string help) {
  Field field;
  field.key = field.shown = std::move(key);
  field.json = std::move(json);
  field.help = std::move(help);
  field.quantity = Quantity::table;
  field.is_settable = false;
  return field;
}

Node array_of(std::vector<Node> items) {
  Node array;
  if (items.empty()) return array;  // null: results leave an empty table out
  array.kind = Node::Kind::array;
  array.items = std::move(items);
  return array;
}

Node object_of(std::vector<Member> members) {
  Node object;
  object.kind = Node::Kind::table;
  object.members = std::move(members);
  return object;
}

int read_tokens(TableReader& point) { return static_cast<int>(point.integer("tokens", 1, 1'000'000'000)); }

std::vector<ExpertKernelPoint> read_points(std::vector<TableReader> tables) {
  std::vector<ExpertKernelPoint> points;
  for (TableReader& point : tables) {
    const int tokens = read_tokens(point);
    const auto experts = static_cast<int>(point.integer("activated_experts", 1, 1'000'000));
    points.push_back({tokens, experts, point.duration("time")});
    point.finish();
  }
  std::sort(points.begin(), points.end(), [](const ExpertKernelPoint& a, const ExpertKernelPoint& b) {
    return std::pair(a.tokens, a.activated_experts) < std::pair(b.tokens, b.activated_experts);
  });
  return points;
}

KernelTimes read_times(TableReader& table) {
  KernelTimes times;
  times.key.operation = table.text("operation");
  const std::vector<std::string> known = kernel_operations();
  if (std::find(known.begin(), known.end(), times.key.operation) == known.end()) {
    throw InputError(table.where("operation"), "'" + printable(times.key.operation) + "' is not an operation",
                     suggest(times.key.operation, known));
  }
  times.key.precision = table.text("precision");
  const Node* work = table.find("work");
  if (work == nullptr || work->kind != Node::Kind::array || work->items.empty() || work->items.size() > 8)
    throw InputError(table.where("work"), "must be a list of numbers", "as pregate calibrate writes it");
  for (const Node& item : work->items) {
    if (item.kind != Node::Kind::integer || item.integer < 0)
      throw InputError(item.where, "work: every number must be whole and not negative", "");
    times.key.work.push_back(item.integer);
  }
  for (TableReader& point : table.tables("points")) {
    const int tokens = read_tokens(point);
    times.points.push_back({tokens, point.duration("time")});
    point.finish();
  }
  std::sort(times.points.begin(), times.points.end(),
            [](const KernelPoint& a, const KernelPoint& b) { return a.tokens < b.tokens; });
  if (table.find("fixed") != nullptr) times.fixed = table.duration("fixed");
  if (times.points.empty())
    throw InputError(table.where("points"), "a table without points", "leave the whole table out");
  table.finish();
  return times;
}

Node copies(const LinkSpec& link) {
  std::vector<Node> rows;
  for (const CopyPoint& point : link.table)
    rows.push_back(array_of({value_of(point.size), value_of(point.rate)}));
  return array_of(std::move(rows));
}

Node expert_kernels(const MachineSpec& machine) {
  std::vector<Node> rows;
  for (const ExpertKernelPoint& point : machine.expert_kernel_table) {
    rows.push_back(
        array_of({value_of(point.tokens), value_of(point.activated_experts), value_of(point.time)}));
  }
  return array_of(std::move(rows));
}

Node kernel_rows(const MachineSpec& machine) {
  std::vector<Node> tables;
  for (const KernelTimes& times : machine.kernel_times) {
    std::vector<Node> work, points;
    for (const std::int64_t number : times.key.work) work.push_back(value_of(number));
    for (const KernelPoint& point : times.points)
      points.push_back(array_of({value_of(point.tokens), value_of(point.time)}));
    tables.push_back(object_of({{"operation", value_of(times.key.operation)},
                                {"precision", value_of(times.key.precision)},
                                {"work", array_of(std::move(work))},
                                {"fixed_us", value_of(times.fixed)},
                                {"points_tokens_us", array_of(std::move(points))}}));
  }
  return array_of(std::move(tables));
}

FittedRates read_fit(TableReader table) {
  constexpr std::size_t most_rows = 1000;
  FittedRates fit;
  fit.file = table.text("file");
  for (TableReader& entry : table.tables("rows")) {
    FittedRate row;
    row.row = entry.text("row");
    row.model = entry.text("model");
    row.mechanism = entry.text("mechanism");
    row.weights = entry.text_or("weights", "");
    row.batch = static_cast<int>(entry.integer("batch", 1, 4096));
    const auto percent = [&](const char* key) {
      const double value = entry.number(key);
      if (!(value > -100 && value < 1e6))
        throw InputError(entry.where(key), "is no error of a rate", "above -100, in per cent");
      return value;
    };
    row.percent = percent("percent");
    if (entry.has("left_out")) row.left_out = percent("left_out");
    entry.finish();
    fit.rows.push_back(std::move(row));
    if (fit.rows.size() > most_rows)
      throw InputError(table.where("rows"), "more than " + std::to_string(most_rows) + " rows");
  }
  if (fit.rows.empty())
    throw InputError(table.where("rows"), "no rows", "a machine that was fitted on none has no table [fit]");
  table.finish();
  return fit;
}

/// What results say of it.
Node fitted_rows(const MachineSpec& machine) {
  std::vector<Node> rows;
  for (const FittedRate& row : machine.fit.rows) {
    std::vector<Member> members = {{"row", value_of(row.row)}, {"percent", value_of(row.percent)}};
    if (row.left_out) members.push_back({"left_out_percent", value_of(*row.left_out)});
    rows.push_back(object_of(std::move(members)));
  }
  return array_of(std::move(rows));
}

}  // namespace

void add_copy_table(Fields<LinkSpec>& fields) {
  fields.add_entry(
      {table_field("table", "table_bytes_and_bytes_per_s",
                   "copies as measured, of 'size' at 'rate': a copy then takes size / rate, nothing added"),
       copies, [](LinkSpec& link, TableReader& table, const Field& its) {
         for (TableReader& point : table.tables(its.name())) {
           link.table.push_back({point.bytes("size"), point.byte_rate("rate")});
           point.finish();
         }
       }});
}

void add_machine_tables(Fields<MachineSpec>& fields) {
  fields.add_entry(
      {table_field(
           "expert_kernel_table", "expert_kernel_table_tokens_experts_us",
           "'time' of the experts of a layer by 'tokens' and 'activated_experts', whatever the model"),
       expert_kernels, [](MachineSpec& machine, TableReader& table, const Field& its) {
         machine.expert_kernel_table = read_points(table.tables(its.name()));
       }});
  fields.add_entry(
      {table_field("kernel_times", "kernel_times",
                   "times of an operation of layers of certain dimensions, as pregate calibrate writes them"),
       kernel_rows, [](MachineSpec& machine, TableReader& table, const Field& its) {
         for (TableReader& times : table.tables(its.name()))
           machine.kernel_times.push_back(read_times(times));
       }});
  fields.add_entry(
      {table_field("fit", "fitted_rows",
                   "rows of rates that its constants were fitted on, as pregate calibrate --from "
                   "writes them"),
       fitted_rows, [](MachineSpec& machine, TableReader& table, const Field& its) {
         machine.fit = read_fit(table.table(its.name()));
       }});
  Field software =
      table_field("software", "software",
                  "what it was fitted or measured with (--software), whose costs are in its numbers");
  software.quantity = Quantity::text;
  fields.add_entry({std::move(software), [](const MachineSpec&) { return Node{}; },
                    [](MachineSpec& machine, TableReader& table, const Field& its) {
                      machine.software = table.text(its.name());
                      if (machine.calibration == "datasheet") {
                        throw InputError(table.where(its.name()),
                                         "the machine is a datasheet's: nothing was fitted with it",
                                         "leave it out; --software chooses what drives such a machine");
                      }
                    }});
  fields.add_entry(
      {table_field("sources", "host.source", "where numbers come from, by the path of a key or table"),
       [](const MachineSpec&) { return Node{}; },
       [](MachineSpec& machine, TableReader& table, const Field& its) {
         const TableReader sources = table.table(its.name());
         check_sources(table.node(), sources.node());
         machine.host.source = host_source(sources.node());
       }});
}

}  // namespace pregate
