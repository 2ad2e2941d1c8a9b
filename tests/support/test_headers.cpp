// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Nothing of its own: the headers that the tests share are compiled with it.
