// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/module.hpp"

extern "C" int pregate_of_an_absent_library();

namespace {
constexpr auto function = pregate_of_an_absent_library;
}

const pregate::runtime::Module pregate_module_v1{pregate::runtime::module_build,
                                                 reinterpret_cast<const void*>(function)};
