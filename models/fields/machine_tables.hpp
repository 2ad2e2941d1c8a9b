// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/fields/fields.hpp"
#include "models/machine.hpp"

// The fields of a machine that are arrays of tables, or texts about other keys: read by what stands here.
namespace pregate {

/// `table`: measured copies by size.
void add_copy_table(Fields<LinkSpec>& fields);
/// `expert_kernel_table`, `kernel_times`, `fit`, `software` and `sources`.
void add_machine_tables(Fields<MachineSpec>& fields);

}  // namespace pregate
