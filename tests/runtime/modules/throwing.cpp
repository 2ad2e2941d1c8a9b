// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/modules/throwing.hpp"

#include "models/error.hpp"
#include "runtime/device_error.hpp"
#include "runtime/module.hpp"

namespace pregate::runtime::test {

namespace {

constexpr Throwing functions{
    [] { throw InputError("--budget", "too much", "give less"); },
    [] { throw DeviceError("it stopped"); },
    [] { throw OutOfMemory("slots", {3 << 20}, {2 << 20}); },
};

}  // namespace

}  // namespace pregate::runtime::test

const pregate::runtime::Module pregate_module_v1{pregate::runtime::module_build,
                                                 &pregate::runtime::test::functions};
