// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pregate::runtime::test {

/// The functions of the module `throwing`: each throws what its name says.
struct Throwing {
  void (*input_error)();    ///< InputError("--budget", "too much", "give less")
  void (*device_error)();   ///< DeviceError("it stopped")
  void (*out_of_memory)();  ///< OutOfMemory("slots", 3 MiB, 2 MiB)
};

}  // namespace pregate::runtime::test
