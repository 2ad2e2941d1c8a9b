// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/module.hpp"

// As of another build of the same version; nothing but this text may be looked at.
const pregate::runtime::Module pregate_module_v1{"0.1.0, build 0000000000000000, GNU 12.2.0", nullptr};
