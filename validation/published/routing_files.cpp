// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/routing_files.hpp"

#include <cstdlib>
#include <system_error>

#include "models/error.hpp"
#include "traces/import.hpp"
#include "traces/reader.hpp"

namespace pregate::validation {

namespace {

/// A folder that is gone, with what is in it, when this is.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code fault;
    std::string name = (std::filesystem::temp_directory_path(fault) / "pregate-XXXXXX").string();
    if (fault || mkdtemp(name.data()) == nullptr) {
      throw InputError("temporary folder", "cannot be made", "set TMPDIR to a folder that can be written");
    }
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

std::unique_ptr<trace::StepSource> read_recording(const DataFolder& data, const std::string& file) {
  const TemporaryFolder folder;
  const std::string database = (folder.path() / "trace.db").string();
  trace::import_trace({(data.root / file).string()}, database);
  const auto reader = trace::open_trace(database);
  return trace::load_into_memory(*reader);
}

}  // namespace pregate::validation
