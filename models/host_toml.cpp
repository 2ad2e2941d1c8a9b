// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <string_view>
#include <utility>

#include "models/readers.hpp"

namespace pregate {
namespace {

HostComputeSpec read_host_compute(TableReader& table) {
  HostComputeSpec compute;
  compute.bandwidth_efficiency = table.number_or("bandwidth_efficiency", compute.bandwidth_efficiency);
  compute.compute_efficiency = table.number_or("compute_efficiency", compute.compute_efficiency);
  if (table.has("fixed")) compute.fixed = table.duration("fixed");
  if (auto formats = table.table_if("formats")) {
    for (const std::string& format : weight_format_names()) {
      auto own = formats->table_if(format);
      if (!own) continue;
      compute.formats[format] = {own->number_or("bandwidth_efficiency", compute.bandwidth_efficiency),
                                 own->number_or("compute_efficiency", compute.compute_efficiency)};
      own->finish();
    }
    formats->finish();
  }
  table.finish();
  return compute;
}

/// Does the key path `path` lie in the table `table`, or is it that table.
bool lies_in(std::string_view path, std::string_view table) {
  return path == table || (path.starts_with(table) && path.substr(table.size(), 1) == ".");
}

/// Puts `from`'s table `key`, where it has one, and its sources in place of `machine`'s.
void replace_table(Node& machine, const Node& from, std::string_view key) {
  const Node* table = from.find(key);
  if (table == nullptr) return;
  std::erase_if(machine.members, [&](const Member& member) { return member.key == key; });
  machine.members.push_back({std::string(key), *table});
  if (Node* sources = machine.find("sources"); sources != nullptr)
    std::erase_if(sources->members, [&](const Member& member) { return lies_in(member.key, key); });
  const Node* texts = from.find("sources");
  if (texts == nullptr) return;
  if (machine.find("sources") == nullptr) {
    Node none;
    none.kind = Node::Kind::table;
    none.where = texts->where;
    machine.members.push_back({"sources", std::move(none)});
  }
  for (const Member& member : texts->members) {
    if (lies_in(member.key, key)) machine.find("sources")->members.push_back(member);
  }
}

}  // namespace

HostSpec read_host(TableReader table) {
  HostSpec host;
  host.cpu = table.text("cpu");
  host.cores = static_cast<int>(table.integer("cores", 1, 100'000));
  host.memory = table.bytes("memory");
  host.memory_bandwidth = table.byte_rate("memory_bandwidth");
  host.rate = table.flop_rate("rate");
  if (auto compute = table.table_if("compute")) host.compute = read_host_compute(*compute);
  table.finish();
  return host;
}

SsdSpec read_ssd(TableReader table) {
  SsdSpec ssd;
  ssd.capacity = table.bytes("capacity");
  ssd.read_bandwidth = table.byte_rate("read_bandwidth");
  ssd.latency = table.duration("latency");
  table.finish();
  return ssd;
}

void check_sources(const Node& root, const Node& sources) {
  for (const auto& [path, text] : sources.members) {
    const Node* node = &root;
    for (std::string_view rest = path; node != nullptr && !rest.empty();) {
      const std::size_t dot = rest.find('.');
      node = node->find(rest.substr(0, dot));
      rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
    }
    if (node == nullptr) {
      throw InputError(text.where, "sources: there is no key '" + printable(path) + "' in this description",
                       "write the path of a key in quotes, e.g. \"gpu.memory\" = \"...\"");
    }
    if (text.kind != Node::Kind::text)
      throw InputError(text.where, "sources: '" + printable(path) + "' must be text");
  }
}

std::string host_source(const Node& sources) {
  const Node* text = sources.find("host");
  return text == nullptr ? std::string{} : text->text;
}

HostDescription read_host_description(const Node& root, const std::string& name) {
  if (root.find("gpu") != nullptr) {
    throw InputError(root.where, "describes a machine with its GPU, not a host",
                     "a host file holds the table [host] and perhaps [ssd]; give this one to --machine");
  }
  HostDescription description;
  description.name = name;
  TableReader top(root, "");
  description.description = top.text_or("description", "");
  description.source = top.text_or("source", "");
  description.host = read_host(top.table("host"));
  if (auto ssd = top.table_if("ssd")) description.ssd = read_ssd(*ssd);
  if (auto sources = top.table_if("sources")) {
    check_sources(root, sources->node());
    description.host.source = host_source(sources->node());
  }
  if (description.host.source.empty()) description.host.source = description.source;
  top.finish();
  validate(description.host, root.where);
  if (description.ssd) validate(*description.ssd, root.where);
  return description;
}

void replace_host(Node& machine, const Node& description, const std::string& name) {
  const Node* gpu = machine.find("gpu");
  if (gpu != nullptr && gpu->find("host_memory_traffic") != nullptr) {
    throw InputError("--host",
                     "'" + printable(name) + "' cannot take the place of the host of " +
                         printable(machine.where, 200) + ": CPU and GPU share one memory there",
                     "leave --host out, and change single numbers with --set machine.host.…");
  }
  replace_table(machine, description, "host");
  replace_table(machine, description, "ssd");
}

}  // namespace pregate
