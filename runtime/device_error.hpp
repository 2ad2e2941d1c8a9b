// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

#include "models/units.hpp"

namespace pregate::runtime {

/// A device call failed; the text names the call and what the device said.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Device or page-locked memory ran out: a result of a run, not a fault.
class OutOfMemory : public DeviceError {
 public:
  OutOfMemory(const std::string& purpose, Bytes wanted, Bytes free)
      : DeviceError(purpose + " needs " + to_string(wanted) + ", but only " + to_string(free) + " are free") {
  }
};

}  // namespace pregate::runtime
