// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A library that can be opened, but shows no pregate_module_v1.
extern "C" int pregate_module_v0() { return 0; }
