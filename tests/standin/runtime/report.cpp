// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/report.hpp"

#include <cstdio>

namespace pregate::standin {

void Reports::add(const char* kind, const std::string& text) {
  constexpr int shown = 20;
  const int before = count_.fetch_add(1);
  if (before < shown) std::fprintf(stderr, "standin: %s: %s\n", kind, text.c_str());
  if (before == shown) std::fprintf(stderr, "standin: further findings are not shown\n");
}

}  // namespace pregate::standin
