// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <string_view>
#include <utility>

#include "models/fields/describe.hpp"
#include "models/fields/read_fields.hpp"
#include "models/readers.hpp"

namespace pregate {
namespace {

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

namespace {

template <typename Spec>
Spec read_table(const Fields<Spec>& fields, TableReader table) {
  Spec spec;
  read_fields(fields, spec, table);
  table.finish();
  return spec;
}

}  // namespace

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
    if (text.from_option)
      throw InputError(text.where,
                       "says where a number of the file comes from, which an option does not change");
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
  description.host = read_table(host_fields(), top.table("host"));
  if (auto ssd = top.table_if("ssd")) description.ssd = read_table(ssd_fields(), *ssd);
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
