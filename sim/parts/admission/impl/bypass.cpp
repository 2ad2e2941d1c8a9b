// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/admission/admission.hpp"

namespace pregate::sim {

AdmissionEntry bypass() {
  AdmissionEntry entry;
  entry.name = "bypass";
  entry.help = "not one that the eviction rule would evict first";
  entry.mechanism = "bypass";
  entry.eviction = Admission::bypass;
  return entry;
}

}  // namespace pregate::sim
