// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "models/embedded.hpp"
#include "validation/published/case.hpp"

namespace pregate {

/// validation/published/residuals*.toml, compiled into the program.
std::span<const EmbeddedFile> embedded_residuals();

}  // namespace pregate

namespace pregate::validation {

/// What the rows of a published case were predicted with.
enum class Basis {
  calibrated,      ///< constants fitted on the case's own calibration rows, as `validate published` does
  fitted_machine,  ///< a fitted machine of the catalogue, as it stands
  datasheet,       ///< a datasheet machine of the catalogue: nothing measured, nothing fitted
  several_gpus,    ///< the same, of several of its GPUs that share every layer
};
inline constexpr int basis_count = 4;

/// How far a predicted rate was off: 100 (predicted / published - 1).
struct Residual {
  Basis basis = Basis::calibrated;
  std::string published_case;
  std::string row;           ///< series, subject and variant, as `validate published` prints them
  std::string machine;       ///< Basis::fitted_machine: its name; else empty
  std::string gpu;           ///< GpuSpec::name
  std::string architecture;  ///< of the GPU, as machine files name it
  /// Described software that it was predicted with; empty: what is taken where none is named, or constants of
  /// the case or the machine.
  std::string software;
  std::string model;  ///< of the catalogue
  std::string mechanism;
  int batch = 1;
  double percent = 0;
};

/// Residuals of all tokens/s rows that the cases gate, on every basis, and of served cases of several GPUs
/// the rates that their times a token are, 1 / TPOT; rows that constants of a basis were fitted on are left
/// out of it. Systems that name software are predicted with it and without. Simulates all of them (seconds).
/// Rows whose recording is absent from `data` are left out and their case is named in `skipped`. Of each
/// served case, which takes most of the time, the first row and every `every_served`-th after it.
std::vector<Residual> compute_residuals(const DataFolder& data, std::vector<std::string>& skipped,
                                        std::size_t every_served = 1);

/// As validation/published/residuals*.toml hold them, in three files as one may have no more than 60 KB.
std::string residuals_toml(const std::vector<Residual>& residuals);
/// InputError at `where` for whatever is missing, unknown or no number.
std::vector<Residual> parse_residuals(std::string_view text, const std::string& where);
/// Those compiled into the program.
std::vector<Residual> known_residuals();

}  // namespace pregate::validation
