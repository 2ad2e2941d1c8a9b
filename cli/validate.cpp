// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <filesystem>

#include "cli/run.hpp"
#include "models/error.hpp"
#include "validation/published/report.hpp"

namespace pregate::cli {

namespace {

/// `--data`, else $PREGATE_SHARED_DATA, else ../shared/data below the current folder; may be absent.
validation::DataFolder data_folder(const Parsed& parsed) {
  if (parsed.has("data")) {
    const std::string given = parsed.text("data");
    std::error_code ignored;
    if (!std::filesystem::is_directory(given, ignored)) {
      throw InputError("--data", "'" + printable(given, 200) + "' is not a folder");
    }
    return {given};
  }
  if (const char* set = std::getenv("PREGATE_SHARED_DATA")) return {set};
  return {std::filesystem::path("..") / "shared" / "data"};
}

ExitCode published(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()  //
      ("case", po::value<std::string>(),
       "one case, with all its rows: a name, or a .toml of your own (default: every case)")  //
      ("data", po::value<std::string>(),
       "folder of recorded traces (default: $PREGATE_SHARED_DATA, else ../shared/data; of a case of your own "
       "the folder that it is in); rows that need it are skipped where it is absent")        //
      ("json", po::value<std::string>(), "write all rows as JSON to this file")              //
      ("report", po::value<std::string>(), "write an HTML page with pictures to this file")  //
      ("markdown", po::bool_switch(), "print the tables as docs/validation holds them");
  const Parsed parsed =
      parse("pregate validate published [CASE] [--json FILE] [--report FILE]", options, arguments, "case", 1);
  if (parsed.help) return 0;
  const validation::DataFolder data = data_folder(parsed);
  check_outputs(parsed);
  std::vector<std::string> names = validation::case_names();
  if (parsed.has("case")) names = {parsed.text("case")};
  std::vector<validation::Evaluated> all;
  for (const std::string& name : names) {
    validation::Case published_case = validation::load_case(name);
    const bool is_beside = !published_case.folder.empty() && !parsed.has("data");
    validation::CaseResult result = validation::evaluate(
        published_case, is_beside ? validation::DataFolder{published_case.folder} : data);
    all.push_back({std::move(published_case), std::move(result)});
  }
  std::vector<TextFile> files;
  if (parsed.has("json")) files.push_back({parsed.text("json"), validation::results_json(all)});
  if (parsed.has("report")) files.push_back({parsed.text("report"), validation::results_html(all)});
  write_files(files);
  std::string text;
  bool failed = false;
  for (const validation::Evaluated& evaluated : all) {
    text += parsed.flag("markdown") ? validation::results_markdown(evaluated)
                                    : validation::results_text(evaluated, parsed.has("case"));
    failed = failed || evaluated.result.failed();
  }
  show(people(parsed), parsed.flag("markdown") ? text : text + validation::verdict(all));
  return failed ? 1 : 0;
}

}  // namespace

ExitCode validate(const Arguments& arguments) {
  const bool has_options = !arguments.empty() && arguments[0].starts_with("--") && arguments[0] != "--help";
  if (has_options) return validate_device(arguments);
  return dispatch(
      "pregate validate",
      "Holds the simulator against measurements; exit code 1 when a gate fails, or when more than half of a\n"
      "tier's rows are undecidable because their repeats differ by more than the gate.",
      {{"published", "measurements that others published, as committed cases", published},
       {"device", "this machine: simulate and execute the same grid (the default when options follow)",
        validate_device}},
      arguments);
}

}  // namespace pregate::cli
