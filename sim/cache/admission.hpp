// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pregate {

/// Which misses enter a cache.
enum class Admission {
  always,
  bypass,  ///< not one that the eviction rule would evict first
};

}  // namespace pregate
