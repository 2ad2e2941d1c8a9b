// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/fields/fields.hpp"
#include "models/machine.hpp"
#include "models/model.hpp"
#include "models/software.hpp"

// What is described, field by field. A field that is added there is read, checked, set by --set, listed and
// in the resolved configuration of results.
namespace pregate {

/// Host and drive included, as tables.
const Fields<MachineSpec>& machine_fields();
const Fields<HostSpec>& host_fields();
const Fields<SsdSpec>& ssd_fields();
const Fields<SoftwareSpec>& software_fields();
/// Tables of a software, and of the machine that it drives.
Fields<SoftwareMemorySpec> software_memory_fields();
Fields<PackedShares> packed_share_fields();

/// The model as a whole, and its parts as they are understood: results show them, and a model's TOML file is
/// read by those of the whole and of the experts.
const Fields<ModelSpec>& shape_fields();
const Fields<Mixer>& mixer_fields();
const Fields<FeedForward>& feed_forward_fields();
const Fields<MoeBlock>& moe_fields();

}  // namespace pregate
