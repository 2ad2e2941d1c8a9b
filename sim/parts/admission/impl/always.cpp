// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/admission/admission.hpp"

namespace pregate::sim {

AdmissionEntry always_admit() {
  AdmissionEntry entry;
  entry.name = "always";
  entry.help = "every fetched expert enters the cache";
  return entry;
}

}  // namespace pregate::sim
