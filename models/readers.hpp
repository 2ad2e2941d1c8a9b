// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "models/catalog.hpp"
#include "models/document.hpp"
#include "models/table_reader.hpp"

namespace pregate {

/// From the tree of a document, overrides applied, to a checked description. `name` is what it is called in
/// results.
ModelSpec read_model(const Node& root, const std::string& name);
/// The `[config]` table of a TOML description: fields of a config.json, read by the family that its
/// model_type names. Sets everything of `model` but names, sources and formats.
void read_config_table(const Node& table, ModelSpec& model);
/// A Hugging Face config.json; a key that may cost and that no reader asks for is an error. `beside` is the
/// hf_quant_config.json that lies beside it, or nullptr.
ModelSpec read_model_config(const Node& root, const std::string& name, const ModelOptions& options,
                            const Node* beside = nullptr);
MachineSpec read_machine(const Node& root, const std::string& name);
SoftwareSpec read_software(const Node& root, const std::string& name);
HostDescription read_host_description(const Node& root, const std::string& name);

/// `[sources]` maps a key path of this document, or the path of a table and so all below it, to where its
/// numbers come from. A path that names nothing is a fault: the number it spoke of has moved. So is
/// one that --set gave.
void check_sources(const Node& root, const Node& sources);
/// What `[sources]` says of the host as a whole; empty when it says nothing.
std::string host_source(const Node& sources);

/// Puts the host of `description`, a checked host file, in place of the one of `machine`, a machine's tree:
/// [host], [ssd] where it has one, and their sources. InputError: a machine whose GPU lives in its memory.
void replace_host(Node& machine, const Node& description, const std::string& name);

}  // namespace pregate
