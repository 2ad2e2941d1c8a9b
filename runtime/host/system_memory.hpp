// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/units.hpp"

namespace pregate::runtime {

struct SystemMemory {
  Bytes total;
  Bytes available;  ///< without swapping: free, or given back by the kernel on demand
};

/// Of this machine, from /proc/meminfo; an enclosing memory limit (cgroup) makes both smaller.
SystemMemory system_memory();

}  // namespace pregate::runtime
