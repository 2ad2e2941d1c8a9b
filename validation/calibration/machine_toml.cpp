// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/machine_toml.hpp"

#include <algorithm>
#include <cstdio>

#include "models/fields/describe.hpp"
#include "models/units.hpp"

namespace pregate::validation {

namespace {

std::string digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// A TOML basic string. Control characters cannot be in it: they are left out.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) result += c;
  }
  return result + "\"";
}

std::string rate(BytesPerSecond value) { return quoted(digits(value.value / 1e9) + " GB/s"); }
std::string time(Picoseconds value) { return quoted(digits(value.seconds() * 1e6) + " us"); }
std::string size(Bytes value) { return quoted(std::to_string(value.count) + " B"); }

/// A field's value as a TOML value, numbers with six digits; empty where the file has none.
std::string toml_value(const Field& field, const Node& value) {
  if (field.zero && value.kind == Node::Kind::real && value.real == 0) return {};
  switch (field.quantity) {
    case Quantity::byte_rate:
      return rate({value.real});
    case Quantity::flop_rate:
      return quoted(digits(value.real / 1e12) + " TFLOP/s");
    case Quantity::time:
      return quoted(digits(value.real) + " us");
    case Quantity::number:
    case Quantity::share:
      return digits(value.real);
    case Quantity::count:
    case Quantity::flag:
      return written(field, value);
    case Quantity::table:
      return {};
    default:
      return quoted(written(field, value));
  }
}

class Writer {
 public:
  void section(const std::string& name) { text_ += "\n[" + name + "]\n"; }
  void repeated(const std::string& name) { text_ += "\n[[" + name + "]]\n"; }
  void key(const std::string& name, const std::string& value) { text_ += name + " = " + value + "\n"; }
  void line(const std::string& line) { text_ += line + "\n"; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void write_copies(Writer& out, const LinkSpec& link) {
  if (link.table.empty()) return;
  out.line("table = [");
  for (const CopyPoint& point : link.table)
    out.line("  { size = " + size(point.size) + ", rate = " + rate(point.rate) + " },");
  out.line("]");
}

std::string tokens(int count) { return "  { tokens = " + std::to_string(count); }

void write_table(Writer& out, const std::vector<ExpertKernelPoint>& points) {
  if (points.empty()) return;
  out.line("expert_kernel_table = [");
  for (const ExpertKernelPoint& point : points) {
    out.line(tokens(point.tokens) + ", activated_experts = " + std::to_string(point.activated_experts) +
             ", time = " + time(point.time) + " },");
  }
  out.line("]");
}

void write_times(Writer& out, const KernelTimes& times) {
  out.repeated("kernel_times");
  out.key("operation", quoted(times.key.operation));
  out.key("precision", quoted(times.key.precision));
  std::string work;
  for (const std::int64_t value : times.key.work) work += (work.empty() ? "" : ", ") + std::to_string(value);
  out.key("work", "[" + work + "]");
  if (times.fixed.count > 0) out.key("fixed", time(times.fixed));
  out.line("points = [");
  for (const KernelPoint& point : times.points)
    out.line(tokens(point.tokens) + ", time = " + time(point.time) + " },");
  out.line("]");
}

void write_fit(Writer& out, const FittedRates& fit) {
  out.section("fit");
  out.key("file", quoted(fit.file));
  out.line("rows = [");
  for (const FittedRate& row : fit.rows) {
    out.line("  { row = " + quoted(row.row) + ", model = " + quoted(row.model) +
             (row.weights.empty() ? std::string() : ", weights = " + quoted(row.weights)) +
             ", mechanism = " + quoted(row.mechanism) + ", batch = " + std::to_string(row.batch) +
             ", percent = " + digits(row.percent) +
             (row.left_out ? ", left_out = " + digits(*row.left_out) : std::string()) + " },");
  }
  out.line("]");
}

/// Keys with their values, of one table of the file.
struct Table {
  std::string name;
  std::vector<std::pair<std::string, std::string>> keys;
};

/// All fields but those that are tables of their own, by table; the top of the document is the first.
std::vector<Table> tables_of(const MachineSpec& machine) {
  std::vector<Table> tables = {{}};
  for (const auto& [field, value, read] : machine_fields().entries()) {
    const Node is = value(machine);
    const std::string text = is.kind == Node::Kind::null ? std::string{} : toml_value(field, is);
    if (text.empty()) continue;
    const std::string key(field.name());
    const std::string name =
        key == field.key ? std::string{} : field.key.substr(0, field.key.size() - key.size() - 1);
    auto table =
        std::find_if(tables.begin(), tables.end(), [&](const Table& each) { return each.name == name; });
    if (table == tables.end()) table = tables.insert(tables.end(), {name, {}});
    table->keys.emplace_back(key, text);
  }
  return tables;
}

}  // namespace

std::string to_toml(const MachineSpec& machine,
                    const std::vector<std::pair<std::string, std::string>>& sources,
                    const std::vector<std::string>& comments) {
  Writer out;
  for (const std::string& comment : comments) out.line("# " + comment);
  for (const Table& table : tables_of(machine)) {
    if (!table.name.empty()) out.section(table.name);
    for (const auto& [key, value] : table.keys) out.key(key, value);
    if (table.name.empty() && !machine.fit.rows.empty() && !machine.software.empty())
      out.key("software", quoted(machine.software));
    if (table.name.empty()) write_table(out, machine.expert_kernel_table);
    if (table.name == "link.h2d") write_copies(out, machine.h2d);
    if (table.name == "link.d2h") write_copies(out, machine.d2h);
  }
  for (const KernelTimes& times : machine.kernel_times) write_times(out, times);
  if (!machine.fit.rows.empty()) write_fit(out, machine.fit);
  out.section("sources");
  for (const auto& [key, source] : sources) out.key(quoted(key), quoted(source));
  return out.take();
}

}  // namespace pregate::validation
