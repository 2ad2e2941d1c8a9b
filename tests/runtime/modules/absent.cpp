// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A library that is there when its user is linked and cannot be found when that is opened.
extern "C" int pregate_of_an_absent_library() { return 1; }
