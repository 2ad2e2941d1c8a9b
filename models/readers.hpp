// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "models/catalog.hpp"
#include "models/document.hpp"

namespace pregate {

/// From the tree of a document, overrides applied, to a checked description. `name` is what it is called in
/// results.
ModelSpec read_model(const Node& root, const std::string& name);
/// A Hugging Face config.json; keys that no reader asks for are ignored, unless they come from `--set`.
ModelSpec read_model_config(const Node& root, const std::string& name, const ModelOptions& options);
MachineSpec read_machine(const Node& root, const std::string& name);
PolicySpec read_policy(const Node& root, const std::string& name);

}  // namespace pregate
