// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/scratch_folder.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace pregate::fuzz {

ScratchFolder::ScratchFolder() {
  std::error_code ignored;
  const bool has_memory = std::filesystem::is_directory("/dev/shm", ignored);
  folder_ = (has_memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) /
            "pregate-fuzz-XXXXXX";
  if (::mkdtemp(folder_.data()) == nullptr) std::abort();
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string ScratchFolder::write(const std::string& name, const std::uint8_t* bytes, std::size_t size) const {
  std::ofstream file(path(name), std::ios::binary);
  for (std::size_t i = 0; i < size; ++i) file.put(static_cast<char>(bytes[i]));
  file.close();
  if (!file) std::abort();
  return path(name);
}

}  // namespace pregate::fuzz
