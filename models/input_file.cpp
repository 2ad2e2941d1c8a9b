// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/input_file.hpp"

#include <filesystem>
#include <system_error>

#include "models/error.hpp"

namespace pregate {

namespace fs = std::filesystem;

void require_regular_file(const std::string& path) {
  const std::string where = printable(path, 200);
  std::error_code fault;
  const fs::file_status status = fs::status(path, fault);
  if (fault == std::errc::too_many_symbolic_link_levels)
    throw InputError(where, "is a link that leads back to itself", "name the file that it should lead to");
  if (!fs::status_known(status)) throw InputError(where, "cannot be opened: " + fault.message());
  if (!fs::exists(status)) {
    if (!is_absent(path))
      throw InputError(where, "is a link to a file that does not exist",
                       "name the file that it should lead to");
    throw InputError(where, "there is no such file");
  }
  if (fs::is_directory(status)) throw InputError(where, "is a folder, not a regular file");
  if (!fs::is_regular_file(status)) throw InputError(where, "is not a regular file");
}

bool is_absent(const std::string& path) {
  std::error_code fault;
  return fs::symlink_status(path, fault).type() == fs::file_type::not_found;
}

}  // namespace pregate
