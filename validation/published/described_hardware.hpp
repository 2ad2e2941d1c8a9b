// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/machine.hpp"

namespace pregate::validation {

/// Whether the catalogue has a machine of this GPU's name with the same hardware: the GPU's rates, and with
/// `offloads` the link and the host as well. Published rates of a GPU were predicted with such a machine; a
/// file that extends one and changes it keeps the name, and they say nothing of it.
bool is_hardware_of_catalogue(const MachineSpec& machine, bool offloads);

}  // namespace pregate::validation
