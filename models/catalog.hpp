// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/document.hpp"
#include "models/machine.hpp"
#include "models/model.hpp"
#include "models/software.hpp"

namespace pregate {

/// One `--set path=value`. `path` starts with `model.`, `machine.` or `policy.` and then names a key of the
/// TOML file, e.g. `machine.link.h2d.bandwidth`, or with `serve.` or `parallel.` and a key of how requests
/// are served and over how many GPUs (no file has those); `value` is written as on the command line, with its
/// unit.
struct Override {
  std::string path;
  std::string value;
  std::string option = {};  ///< what errors name where it is not --set, e.g. "--cache"
};

/// What the overrides under `root` ("serve.") say, as a table. InputError for two that do not go together.
Node settings_under(std::string_view root, std::span<const Override> overrides);

/// Splits "machine.link.h2d.bandwidth=50GB/s"; InputError, of `option`, when there is no '=' or the root is
/// unknown.
Override parse_override(const std::string& text, const std::string& option = "--set");

/// Whether a text that may name an entry of the catalogue is the path of a file instead: it ends in .toml or
/// .json, or contains a '/'.
bool is_path(std::string_view text);

/// Names of the embedded catalogue, sorted.
std::vector<std::string> model_names();
std::vector<std::string> machine_names();
std::vector<std::string> host_names();
std::vector<std::string> policy_names();
std::vector<std::string> software_names();

struct ModelOptions {
  std::string weights;        ///< weight format of the routed experts; empty = as described
  std::string dense_weights;  ///< of everything else; empty = as described
};

/// Loads by catalogue name, or from a file when the text ends in .toml or .json or contains a '/'.
/// A .json is a Hugging Face config.json. A model may also be a folder with a config.json and .safetensors
/// files, or a .gguf file: sizes are then those of the files (of which no weights are read). Overrides whose
/// root is another kind are ignored; one whose key does not exist, or whose unit is wrong, is an InputError
/// naming the nearest valid keys. All keys are checked: unknown ones are errors with file, line and hint.
ModelSpec load_model(const std::string& name_or_path, const ModelOptions& options = {},
                     std::span<const Override> overrides = {});
/// With `host`, the name or path of a host description, that one takes the place of the machine's own
/// [host] (and [ssd], where it has one) before the overrides are applied. What the file leaves out of
/// [overhead] and of the efficiencies says the software; InputError for one that is named and has nothing to
/// say, as the machine says all of it.
MachineSpec load_machine(const std::string& name_or_path, std::span<const Override> overrides = {},
                         const std::string& host = {}, const std::string& software = {});
/// As load_machine(); empty: the one that machines have where none is named. Overrides start with
/// `software.`.
SoftwareSpec load_software(const std::string& name_or_path = {}, std::span<const Override> overrides = {});
HostDescription load_host(const std::string& name_or_path);

/// A policy's document before it is read: of which parts a policy is made is the simulator's to say
/// (sim/policy/load_policy.hpp).
struct PolicyDocument {
  Node root;
  std::string name;
};
/// From the catalogue or a file, overrides applied. InputError as load_model(), and for an empty file.
PolicyDocument policy_document(const std::string& name_or_path, std::span<const Override> overrides);
PolicyDocument policy_document_of(std::string_view text, const std::string& where,
                                  std::span<const Override> overrides);
void apply_to_policy(Node& root, std::span<const Override> overrides);

/// From text, as load_* do; `where` names the text in errors. For tests and for other sources than files.
ModelSpec parse_model_toml(std::string_view text, const std::string& where,
                           std::span<const Override> overrides = {});
ModelSpec parse_model_config_json(std::string_view text, const std::string& where,
                                  const ModelOptions& options = {});
MachineSpec parse_machine_toml(std::string_view text, const std::string& where,
                               std::span<const Override> overrides = {});

/// Reads a whole file a user handed in: at most `limit` bytes, regular file only. InputError otherwise.
std::string read_text_file(const std::string& path, Bytes limit);

}  // namespace pregate
