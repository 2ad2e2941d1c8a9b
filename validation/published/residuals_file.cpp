// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "validation/published/case_reader.hpp"
#include "validation/published/residuals.hpp"

namespace pregate::validation {

namespace {

constexpr const char* head = R"(# SPDX-FileCopyrightText: The pregate authors
# SPDX-License-Identifier: Apache-2.0
# How far the simulator was off, by row of the published cases: 100 (predicted / published - 1) of tokens/s.
# `pregate simulate` and `compare` say with them how sure a rate is (docs/validation/confidence.md).
# Written by the test Residuals.AreWhatTheCasesGive with PREGATE_UPDATE_GOLDEN=1, never by hand.
# basis: calibrated (constants fitted on the case's calibration rows), fitted-machine (a fitted machine of the
# catalogue as it stands), datasheet (a datasheet machine of the catalogue: nothing measured, nothing fitted;
# driven by `software`, where that is named), several-gpus (the same, of GPUs that share every layer)
)";

const char* name_of(Basis basis) {
  switch (basis) {
    case Basis::calibrated:
      return "calibrated";
    case Basis::fitted_machine:
      return "fitted-machine";
    case Basis::datasheet:
      return "datasheet";
    case Basis::several_gpus:
      return "several-gpus";
  }
  return "";
}

/// As a TOML string; the texts come from the catalogue and the cases.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

bool is_same_group(const Residual& a, const Residual& b) {
  return a.basis == b.basis && a.published_case == b.published_case && a.machine == b.machine &&
         a.software == b.software;
}

}  // namespace

std::string residuals_toml(const std::vector<Residual>& residuals) {
  std::string text = head;
  for (std::size_t i = 0; i < residuals.size(); ++i) {
    const Residual& residual = residuals[i];
    if (i == 0 || !is_same_group(residuals[i - 1], residual)) {
      if (i > 0) text += "]\n";
      text += "\n[[predicted]]\ncase = " + quoted(residual.published_case) + "\nbasis = \"" +
              name_of(residual.basis) + "\"\n";
      if (!residual.machine.empty()) text += "machine = " + quoted(residual.machine) + "\n";
      if (!residual.software.empty()) text += "software = " + quoted(residual.software) + "\n";
      text += "rows = [\n";
    }
    char percent[32];
    std::snprintf(percent, sizeof percent, "%.2f", residual.percent);
    text += "  { row = " + quoted(residual.row) + ", gpu = " + quoted(residual.gpu) +
            ", architecture = " + quoted(residual.architecture) + ", model = " + quoted(residual.model) +
            ", mechanism = " + quoted(residual.mechanism) + ", batch = " + std::to_string(residual.batch) +
            ", percent = " + percent + " },\n";
  }
  return residuals.empty() ? text : text + "]\n";
}

std::vector<Residual> parse_residuals(std::string_view text, const std::string& where) {
  const Node document = parse_toml_document(text, where);
  TableReader top(document, "");
  std::vector<Residual> residuals;
  for (TableReader& group : top.tables("predicted")) {
    Residual residual;
    residual.published_case = group.text("case");
    residual.basis = choice<Basis>(group, "basis",
                                   {{"calibrated", Basis::calibrated},
                                    {"fitted-machine", Basis::fitted_machine},
                                    {"datasheet", Basis::datasheet},
                                    {"several-gpus", Basis::several_gpus}});
    residual.machine = group.text_or("machine", "");
    residual.software = group.text_or("software", "");
    for (TableReader& row : group.tables("rows")) {
      residual.row = row.text("row");
      residual.gpu = row.text("gpu");
      residual.architecture = row.text("architecture");
      residual.model = row.text("model");
      residual.mechanism = row.text("mechanism");
      residual.batch = static_cast<int>(row.integer("batch", 1, 4096));
      residual.percent = row.number("percent");
      if (!(residual.percent > -100 && residual.percent < 1e6)) {
        throw InputError(row.where("percent"), "is no error of a rate", "above -100");
      }
      row.finish();
      residuals.push_back(residual);
    }
    group.finish();
  }
  top.finish();
  return residuals;
}

std::vector<Residual> known_residuals() {
  std::vector<Residual> residuals;
  for (const EmbeddedFile& file : embedded_residuals()) {
    for (Residual& residual : parse_residuals(file.text, std::string(file.name) + ".toml")) {
      residuals.push_back(std::move(residual));
    }
  }
  return residuals;
}

}  // namespace pregate::validation
