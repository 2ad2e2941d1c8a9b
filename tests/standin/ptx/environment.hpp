// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>

namespace pregate::standin::ptx {

/// Thrown after a finding that leaves a kernel nothing sensible to do; the finding is reported already.
class KernelFault : public std::exception {
 public:
  const char* what() const noexcept override { return "kernel stopped after a finding"; }
};

/// What became of a kernel's access to device memory. Without `data` the access is impossible. A problem with
/// data is reported, and the kernel goes on.
struct Resolved {
  std::byte* data = nullptr;
  const char* kind = "";  ///< of the finding: "bounds", "uninitialised" ...
  std::string problem;    ///< empty when there is none
};

/// What a kernel needs from the device that runs it.
class Environment {
 public:
  virtual ~Environment() = default;
  virtual Resolved resolve(std::uintptr_t address, std::size_t size, bool write) = 0;
  virtual void report(const char* kind, const std::string& text) = 0;
  /// Uniform; decides the order in which threads and blocks run.
  virtual std::uint32_t random() = 0;
};

}  // namespace pregate::standin::ptx
