// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pregate::fuzz {

/// A folder of this process, in memory where there is one, for readers that write beside what they read. It
/// goes with the object.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  /// Its path.
  std::string write(const std::string& name, const std::uint8_t* bytes, std::size_t size) const;

 private:
  std::string folder_;
};

}  // namespace pregate::fuzz
