// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace pregate {

/// A catalogue file compiled into the program: `name` is the file name without `.toml`.
struct EmbeddedFile {
  std::string_view name;
  std::string_view text;
};

std::span<const EmbeddedFile> embedded_models();
std::span<const EmbeddedFile> embedded_machines();
std::span<const EmbeddedFile> embedded_hosts();
std::span<const EmbeddedFile> embedded_policies();
std::span<const EmbeddedFile> embedded_software();
std::span<const EmbeddedFile> embedded_kernels();
std::span<const EmbeddedFile> embedded_collectives();

}  // namespace pregate
