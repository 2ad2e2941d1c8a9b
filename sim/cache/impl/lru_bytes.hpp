// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "sim/cache/expert_cache.hpp"
#include "sim/cache/hit_counter.hpp"

namespace pregate::cache {

/// Counts the hits of an LRU of few slots a domain (is_small()) where an expert's place in its domain fits
/// into a byte: eight residents are held against the batch, and moved up, at a time. Null where one does
/// not, or where the processor has no instruction that moves bytes so.
std::unique_ptr<HitCounter> make_byte_lru_hits(const CacheGeometry& geometry);

}  // namespace pregate::cache
