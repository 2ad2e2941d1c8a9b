// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/outputs.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>

#include "models/error.hpp"
#include "traces/output_file.hpp"

namespace pregate::cli {

namespace {

constexpr const char* standard_output = "-";

/// A file beside `path` that holds `text`, to be published.
std::unique_ptr<trace::OutputFile> complete_temporary(const std::string& path, const std::string& text) {
  auto output = std::make_unique<trace::OutputFile>(path, true);
  std::FILE* file = std::fopen(output->temporary().c_str(), "wb");
  bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  int error = errno;
  if (file != nullptr && std::fclose(file) != 0 && written) {
    written = false;
    error = errno;
  }
  if (!written) {
    throw InputError(path, std::string("cannot be written: ") + std::strerror(error), "is the disk full?");
  }
  return output;
}

bool takes_standard_output(const std::string& option) {
  return option == "--json" || option == "--csv" || option == "--json-lines";
}

}  // namespace

Channel people(const Parsed& parsed) {
  const bool has_it = parsed.text("json") == standard_output || parsed.text("csv") == standard_output ||
                      parsed.text("json-lines") == standard_output;
  return has_it ? Channel::error : Channel::output;
}

void check_outputs(const Parsed& parsed) {
  std::map<std::filesystem::path, std::string> options;
  for (const char* option :
       {"json", "csv", "store", "timeline", "schedule", "request-log", "report", "json-lines"}) {
    if (!parsed.has(option)) continue;
    const std::string path = parsed.text(option), name = "--" + std::string(option);
    if (path.empty()) throw InputError(name, "the file name is empty", "name the file to write");
    const bool is_standard = path == standard_output;
    if (is_standard && !takes_standard_output(name)) {
      throw InputError(name, "'-' is standard output, which takes --json or --csv",
                       "name a file; './-' is a file of that name");
    }
    if (!is_standard) refuse_overwriting_inputs(parsed, path);
    std::error_code ignored;
    const auto key = is_standard
                         ? std::filesystem::path(standard_output)
                         : std::filesystem::weakly_canonical(std::filesystem::absolute(path), ignored);
    const auto [other, is_new] = options.emplace(key, name);
    if (!is_new) {
      throw InputError(name, "'" + printable(path, 200) + "' is also the file of " + other->second,
                       "give every output a file of its own");
    }
    if (name != "--store" && !is_standard) trace::OutputFile(path, true);  // made and taken away again
  }
}

void write_files(const std::vector<TextFile>& files, const std::function<void()>& then) {
  std::vector<std::unique_ptr<trace::OutputFile>> complete;
  complete.reserve(files.size());
  std::string standard;
  for (const TextFile& file : files) {
    if (file.path == standard_output) {
      standard += file.text;
    } else {
      complete.push_back(complete_temporary(file.path, file.text));
    }
  }
  if (then) then();
  for (const auto& file : complete) file->publish();
  // Data, byte for byte: a file would hold the same.
  if (std::fwrite(standard.data(), 1, standard.size(), stdout) != standard.size() || std::fflush(stdout) != 0)
    throw InputError("standard output", "cannot write", "is the disk full or the pipe closed?");
}

void refuse_overwriting_inputs(const Parsed& parsed, const std::string& output) {
  for (const char* option :
       {"trace", "model", "machine", "host", "software", "policy", "plan", "profile", "locality"}) {
    if (!parsed.has(option)) continue;
    const std::string text = parsed.text(option);
    refuse_overwriting(text, output);
    for (std::size_t begin = 0; begin <= text.size();) {  // of a list each
      const std::size_t end = std::min(text.find(',', begin), text.size());
      refuse_overwriting(text.substr(begin, end - begin), output);
      begin = end + 1;
    }
  }
}

void refuse_overwriting(const std::string& input, const std::string& output) {
  std::error_code ignored;
  if (std::filesystem::equivalent(input, output, ignored)) {
    throw InputError(output, "is the input of this command, and would be overwritten",
                     "choose another name for the output");
  }
}

}  // namespace pregate::cli
