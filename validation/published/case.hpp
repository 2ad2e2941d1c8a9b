// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/table_reader.hpp"
#include "validation/published/result.hpp"

namespace pregate::validation {

/// Folder of the recorded traces and measurements; where it is absent, what needs it is skipped and said so.
struct DataFolder {
  std::filesystem::path root;
  [[nodiscard]] bool has(const std::string& file) const;
};

/// A figure as the source's raw file holds it, to check what was entered. `row` is counted from 1 below the
/// header; 0 selects by `where` (column, text) instead.
struct RawCell {
  std::vector<std::pair<std::string, std::string>> where;
  int row = 0;
  std::string column;
  double scale = 1;
};

/// An entered figure: the sum of `cells` of `file` (below measurements/).
struct EnteredFigure {
  std::string file;
  std::vector<RawCell> cells;
  double value = 0;
};

/// What a kind of case does with its own part of the file.
class Experiment {
 public:
  virtual ~Experiment() = default;
  /// Calibrates on the calibration rows alone, predicts the others, and adds rows, constants, aggregates and
  /// what was skipped.
  virtual void evaluate(const DataFolder& data, CaseResult& result) const = 0;
  [[nodiscard]] virtual std::vector<EnteredFigure> entered() const = 0;
};

struct Source {
  std::string paper, table, repository, commit, licence;
};

struct MetricDefinition {
  std::string name, definition;
};

/// A published measurement as a case: validation/published/cases/<name>.toml.
struct Case {
  std::string name, title, kind, hardware, software, model, workload;
  Source source;
  std::vector<std::string> traps, assumptions;
  std::vector<MetricDefinition> metrics;
  std::vector<Gate> gates;
  std::shared_ptr<const Experiment> experiment;
  /// Of a case from a file: where that lies, and beside it the recordings that it names. Empty for those of
  /// the program.
  std::filesystem::path folder;
};

/// Names of the embedded cases, sorted.
std::vector<std::string> case_names();

/// An embedded case; InputError that suggests names otherwise. A text that ends in .toml or contains a '/' is
/// the path of a case of the user's own: descriptions of machines, models, policies and profiles that it
/// names by path are looked for beside it.
Case load_case(const std::string& name_or_path);

/// Reads a case strictly: InputError at `where` (file:line: key) for whatever is missing, unknown, of a wrong
/// type or out of range.
Case parse_case(std::string_view text, const std::string& where, const std::string& name);

/// Calibrates, predicts and judges. Of a case from a file nothing is skipped: InputError for a recording that
/// is not in `data`.
CaseResult evaluate(const Case& published, const DataFolder& data);

/// One kind of case a function and a .cpp; `top` is the document, its common keys read already.
std::unique_ptr<Experiment> read_offload_case(TableReader& top);
std::unique_ptr<Experiment> read_kernel_case(TableReader& top);
std::unique_ptr<Experiment> read_copy_case(TableReader& top);
std::unique_ptr<Experiment> read_cpu_case(TableReader& top);
std::unique_ptr<Experiment> read_replay_case(TableReader& top);
std::unique_ptr<Experiment> read_system_case(TableReader& top);
std::unique_ptr<Experiment> read_serving_case(TableReader& top);

}  // namespace pregate::validation
