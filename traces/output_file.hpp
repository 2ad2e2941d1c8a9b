// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace pregate::trace {

/// A file that appears under its name only when complete: it is written beside the destination under a
/// temporary name and renamed by publish(). The destructor without publish() removes the temporary.
class OutputFile {
 public:
  /// Reserves the temporary. InputError: the folder is missing or not writable, the destination is a folder,
  /// or it exists and `overwrite` is false.
  OutputFile(std::string destination, bool overwrite);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  [[nodiscard]] const std::string& destination() const { return destination_; }
  [[nodiscard]] const std::string& temporary() const { return temporary_; }

  /// Flushes the temporary to the disk and renames it. Without `overwrite`, a destination that appeared
  /// meanwhile is an InputError and stays as it is.
  void publish();

 private:
  std::string destination_, temporary_;
  bool overwrite_;
  bool published_ = false;
};

}  // namespace pregate::trace
