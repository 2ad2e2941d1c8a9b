// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

namespace pregate::python {

/// Each file of this folder adds its part to the module.
void bind_runs(nanobind::module_& module);
void bind_traces(nanobind::module_& module);
void bind_evictions(nanobind::module_& module);
void bind_parts(nanobind::module_& module);

}  // namespace pregate::python
