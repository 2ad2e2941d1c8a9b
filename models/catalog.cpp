// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/catalog.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include "models/embedded.hpp"
#include "models/error.hpp"
#include "models/files/checkpoint_folder.hpp"
#include "models/files/gguf_model.hpp"
#include "models/formats/apply_formats.hpp"
#include "models/input_file.hpp"
#include "models/readers.hpp"

namespace pregate {
namespace {

constexpr Bytes largest_description{1 << 20}, largest_config{16 << 20};

/// A kind of description: how it is called in `--set` and in messages, and where its catalogue is.
struct Kind {
  std::string_view root;
  std::string_view plural;
  std::span<const EmbeddedFile> (*files)();
};

constexpr Kind models{"model", "models", embedded_models};
constexpr Kind machines{"machine", "machines", embedded_machines};
constexpr Kind hosts{"host", "hosts", embedded_hosts};
constexpr Kind policies{"policy", "policies", embedded_policies};
constexpr Kind softwares{"software", "software", embedded_software};
constexpr const char* default_software = "generic";

/// Names that a user may choose: files whose name starts with '_' are parts that others extend.
std::vector<std::string> names(const Kind& kind) {
  std::vector<std::string> result;
  for (const EmbeddedFile& file : kind.files()) {
    if (!file.name.starts_with('_')) result.emplace_back(file.name);
  }
  std::sort(result.begin(), result.end());
  return result;
}

const EmbeddedFile* find_embedded(const Kind& kind, std::string_view name) {
  for (const EmbeddedFile& file : kind.files()) {
    if (file.name == name) return &file;
  }
  return nullptr;
}

/// `dir/my-model.toml` -> `my-model`.
std::string stem(const std::string& path) {
  const std::string leaf = path.substr(path.find_last_of('/') + 1);
  const std::size_t dot = leaf.find_last_of('.');
  return dot == std::string::npos || dot == 0 ? leaf : leaf.substr(0, dot);
}

void apply(Node& root, const Kind& kind, std::span<const Override> overrides) {
  for (const Override& change : overrides) {
    const std::string_view path = change.path;
    if (!path.starts_with(kind.root) || path.substr(kind.root.size(), 1) != ".") continue;
    set_value(root, path.substr(kind.root.size() + 1), change.value,
              change.option.empty() ? "--set " + printable(change.path, 100) : change.option);
  }
}

/// Resolves `extends`: the tree of the named catalogue entry with this one laid over it.
Node extended(Node root, const Kind& kind) {
  std::set<std::string> seen;
  for (const Node* extends = root.find("extends"); extends != nullptr; extends = root.find("extends")) {
    if (extends->kind != Node::Kind::text)
      throw InputError(extends->where, "extends must be the name of an entry in quotes");
    const EmbeddedFile* file = find_embedded(kind, extends->text);
    if (file == nullptr) {
      throw InputError(extends->where,
                       "extends: no " + std::string(kind.root) + " named '" + printable(extends->text) + "'",
                       suggest(extends->text, names(kind)));
    }
    if (!seen.insert(extends->text).second) throw InputError(extends->where, "extends leads back to itself");
    Node base = parse_toml_document(file->text, std::string(file->name) + ".toml");
    std::erase_if(root.members, [](const auto& member) { return member.key == "extends"; });
    merge(base, root);
    base.where = root.where;
    root = std::move(base);
  }
  return root;
}

Node toml_tree(std::string_view text, const std::string& where, const Kind& kind,
               std::span<const Override> overrides) {
  Node root = parse_toml_document(text, where);
  root.where = where;
  if (kind.root == machines.root) root = extended(std::move(root), kind);
  apply(root, kind, overrides);
  return root;
}

struct Source {
  std::string name, where, text;
  bool json = false;
};

Source open_source(const std::string& name_or_path, const Kind& kind) {
  if (is_path(name_or_path)) {
    const bool json = name_or_path.ends_with(".json");
    return {stem(name_or_path), printable(name_or_path, 200),
            read_text_file(name_or_path, json ? largest_config : largest_description), json};
  }
  const EmbeddedFile* file = name_or_path.starts_with('_') ? nullptr : find_embedded(kind, name_or_path);
  if (file == nullptr) {
    throw InputError(kind.root, "no " + std::string(kind.root) + " named '" + printable(name_or_path) + "'",
                     suggest(name_or_path, names(kind)) + " (pregate list " + std::string(kind.plural) + ")");
  }
  return {name_or_path, name_or_path + ".toml", std::string(file->text), false};
}

[[noreturn]] void refuse_json(const Source& source, const Kind& kind) {
  throw InputError(source.where, "a " + std::string(kind.root) + " is described in TOML, not JSON");
}

/// The tree of a host description and its name.
std::pair<Node, std::string> host_tree(const std::string& name_or_path) {
  const Source source = open_source(name_or_path, hosts);
  if (source.json) refuse_json(source, hosts);
  return {toml_tree(source.text, source.where, hosts, {}), source.name};
}

/// A config.json, with the formats that lie beside it.
ModelSpec load_config(const std::string& path, const std::string& name, const ModelOptions& options,
                      std::span<const Override> overrides) {
  const auto tree = [](const std::string& file) {
    return parse_json_document(read_text_file(file, largest_config), printable(file, 200));
  };
  Node root = tree(path);
  apply(root, models, overrides);
  const std::optional<std::string> beside = quantization_beside(path);
  if (!beside) return read_model_config(root, name, options);
  const Node quantization = tree(*beside);
  return read_model_config(root, name, options, &quantization);
}

ModelSpec load_folder(const std::string& path, const ModelOptions& options,
                      std::span<const Override> overrides) {
  const CheckpointFolder folder = read_checkpoint_folder(path);
  std::error_code fault;
  const std::string name = std::filesystem::weakly_canonical(path, fault).filename().string();
  ModelSpec model = load_config(folder.config, name, options, overrides);
  if (folder.tensors.empty()) return model;
  store_as_files(model, folder);
  choose_formats(model, options.weights, options.dense_weights);
  model.description += ", sizes from " + std::to_string(folder.files.size()) + " .safetensors files";
  return model;
}

ModelSpec load_gguf(const std::string& path, const ModelOptions& options,
                    std::span<const Override> overrides) {
  for (const Override& change : overrides) {
    if (!change.path.starts_with("model.")) continue;
    throw InputError("--set " + printable(change.path, 100), "a .gguf file says what its model is",
                     "only --weights and --dense-weights change it");
  }
  ModelSpec model = model_of(read_gguf(path), stem(path));
  choose_formats(model, options.weights, options.dense_weights);
  validate(model, model.source);
  return model;
}

}  // namespace

bool is_path(std::string_view text) {
  return text.ends_with(".toml") || text.ends_with(".json") || text.find('/') != std::string_view::npos;
}

Override parse_override(const std::string& text, const std::string& option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    throw InputError(option, "'" + printable(text) + "' has no '='",
                     "e.g. " + option + " machine.link.h2d.bandwidth=50GB/s");
  }
  Override change{text.substr(0, equals), text.substr(equals + 1)};
  for (const std::string_view root : {models.root, machines.root, policies.root, softwares.root,
                                      std::string_view("serve"), std::string_view("parallel")}) {
    if (change.path.starts_with(std::string(root) + ".") && change.path.size() > root.size() + 1)
      return change;
  }
  const std::string root = change.path.substr(0, change.path.find('.'));
  throw InputError(
      option,
      "'" + printable(change.path) +
          "' does not start with model., machine., policy., software., serve. or parallel.",
      suggest(root, std::vector<std::string>{"model", "machine", "policy", "software", "serve", "parallel"}));
}

Node settings_under(std::string_view root, std::span<const Override> overrides) {
  Node settings;
  settings.kind = Node::Kind::table;
  for (const Override& change : overrides) {
    if (!change.path.starts_with(root)) continue;
    set_value(settings, std::string_view(change.path).substr(root.size()), change.value,
              change.option.empty() ? "--set " + printable(change.path, 100) : change.option);
  }
  return settings;
}

std::vector<std::string> model_names() { return names(models); }
std::vector<std::string> machine_names() { return names(machines); }
std::vector<std::string> host_names() { return names(hosts); }
std::vector<std::string> policy_names() { return names(policies); }
std::vector<std::string> software_names() { return names(softwares); }

ModelSpec load_model(const std::string& name_or_path, const ModelOptions& options,
                     std::span<const Override> overrides) {
  std::error_code fault;
  // A name of the catalogue is not looked for on the disk.
  const bool named = find_embedded(models, name_or_path) != nullptr && !is_path(name_or_path);
  if (!named && std::filesystem::is_directory(name_or_path, fault))
    return load_folder(name_or_path, options, overrides);
  if (!named && (name_or_path.ends_with(".gguf") || begins_as_gguf(name_or_path)))
    return load_gguf(name_or_path, options, overrides);
  if (is_path(name_or_path) && name_or_path.ends_with(".json"))
    return load_config(name_or_path, stem(name_or_path), options, overrides);
  const Source source = open_source(name_or_path, models);
  ModelSpec model = read_model(toml_tree(source.text, source.where, models, overrides), source.name);
  choose_formats(model, options.weights, options.dense_weights);
  return model;
}

namespace {

/// As load_machine(), without the GPUs of other kinds that it names.
MachineSpec load_alone(const std::string& name_or_path, std::span<const Override> overrides,
                       const std::string& host, const std::string& software) {
  const Source source = open_source(name_or_path, machines);
  if (source.json) refuse_json(source, machines);
  Node root = toml_tree(source.text, source.where, machines, {});
  std::string host_source, host_name;
  if (!host.empty()) {
    const auto [description, name] = host_tree(host);
    host_source = read_host_description(description, name).host.source;
    replace_host(root, description, name);
    host_name = name;
  }
  const Node* own = root.find("software");
  const std::string fitted_with = own != nullptr && own->kind == Node::Kind::text ? own->text : std::string();
  if (!software.empty() && !fitted_with.empty() && software != fitted_with) {
    throw InputError("--software",
                     printable(source.name) + " was fitted with '" + printable(fitted_with) + "'",
                     "leave --software out, or choose a machine that does not say (pregate list machines: "
                     "datasheet)");
  }
  SoftwareSpec named = load_software(fitted_with.empty() ? software : fitted_with, overrides);
  // A share of all formats that is set comes before the software's by packing, as one in a file does.
  if (std::any_of(overrides.begin(), overrides.end(), [](const Override& each) {
        return each.path == "machine.host.compute.compute_efficiency";
      }))
    named.cpu.packed = {};
  // What a fitted or measured machine leaves out is not the named software's either: it was not what ran.
  const Node* calibration = root.find("calibration");
  const bool is_datasheet =
      !fitted_with.empty() || calibration == nullptr || calibration->text == "datasheet";
  const bool filled = fill_in(root, is_datasheet ? named : load_software());
  apply(root, machines, overrides);
  MachineSpec machine = read_machine(root, source.name);
  if (filled && is_datasheet && fitted_with.empty()) machine.software = named.name;
  if (!software.empty() && machine.software.empty()) {
    throw InputError(
        "--software", printable(source.name) + " says itself what software costs on it",
        "leave --software out, or choose a machine that does not (pregate list machines: datasheet)");
  }
  if (host.empty()) return machine;
  machine.replaced_host = host_name;
  machine.host.source = host_source;
  return machine;
}

/// Of other kinds, as other machines have them, which name none themselves.
void add_other_gpus(MachineSpec& machine, const std::string& software, const std::string& where) {
  std::istringstream others(machine.gpu.others);
  for (std::string each; std::getline(others, each, ',');) {
    MachineSpec other = load_alone(each, {}, {}, software);
    const bool is_one = other.gpu.others.empty() && other.gpu.count == 1 && machine.gpu.count == 1;
    if (!is_one || machine.others.size() + 1 >= most_gpus_a_host) {
      throw InputError(where, "gpu.others: '" + printable(each) + "' is not one more GPU of at most 8",
                       "machines of one GPU each");
    }
    machine.others.push_back(std::move(other));
  }
}

}  // namespace

MachineSpec load_machine(const std::string& name_or_path, std::span<const Override> overrides,
                         const std::string& host, const std::string& software) {
  MachineSpec machine = load_alone(name_or_path, overrides, host, software);
  add_other_gpus(machine, software, printable(name_or_path, 200));
  return machine;
}

SoftwareSpec load_software(const std::string& name_or_path, std::span<const Override> overrides) {
  const Source source = open_source(name_or_path.empty() ? default_software : name_or_path, softwares);
  if (source.json) refuse_json(source, softwares);
  return read_software(toml_tree(source.text, source.where, softwares, overrides), source.name);
}

HostDescription load_host(const std::string& name_or_path) {
  const auto [root, name] = host_tree(name_or_path);
  return read_host_description(root, name);
}

PolicyDocument policy_document(const std::string& name_or_path, std::span<const Override> overrides) {
  const Source source = open_source(name_or_path, policies);
  if (source.json) refuse_json(source, policies);
  // Every key of a policy has a default, so an empty file would pass for on-demand.
  if (parse_toml_document(source.text, source.where).members.empty()) {
    throw InputError(source.where, "the policy is empty",
                     "pregate list parts shows what a policy is made of");
  }
  return {toml_tree(source.text, source.where, policies, overrides), source.name};
}

PolicyDocument policy_document_of(std::string_view text, const std::string& where,
                                  std::span<const Override> overrides) {
  return {toml_tree(text, where, policies, overrides), stem(where)};
}

void apply_to_policy(Node& root, std::span<const Override> overrides) { apply(root, policies, overrides); }

ModelSpec parse_model_toml(std::string_view text, const std::string& where,
                           std::span<const Override> overrides) {
  return read_model(toml_tree(text, where, models, overrides), stem(where));
}

ModelSpec parse_model_config_json(std::string_view text, const std::string& where,
                                  const ModelOptions& options) {
  return read_model_config(parse_json_document(text, where), stem(where), options);
}

MachineSpec parse_machine_toml(std::string_view text, const std::string& where,
                               std::span<const Override> overrides) {
  Node root = toml_tree(text, where, machines, {});
  fill_in(root, load_software());
  apply(root, machines, overrides);
  MachineSpec machine = read_machine(root, stem(where));
  add_other_gpus(machine, {}, where);
  return machine;
}

std::string read_text_file(const std::string& path, Bytes limit) {
  const std::string where = printable(path, 200);
  require_regular_file(path);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(where, "cannot be opened for reading", "check its permissions");
  // In blocks, so that memory follows the file and not the limit, and a file that grows meanwhile is noticed.
  std::string text, block(std::size_t{1} << 16, '\0');
  while (file) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    text.append(block, 0, static_cast<std::size_t>(file.gcount()));
    if (static_cast<std::int64_t>(text.size()) > limit.count) {
      throw InputError(where, "is larger than " + to_string(limit));
    }
  }
  if (file.bad()) throw InputError(where, "cannot be read");
  return text;
}

}  // namespace pregate
