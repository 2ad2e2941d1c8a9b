// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace pregate {

/// What a CPU has to do before it can multiply weights of a format.
enum class Packing {
  other,         ///< not known: no format of ggml's
  whole,         ///< nothing, or a conversion: f32, f16, bf16
  blocks,        ///< shifts and masks, or a table in a register; one scale for 16 to 128 values (q4_0, mxfp4)
  super_blocks,  ///< the same; the scales of a block of blocks are packed as well (q4_k, iq4_xs)
  codebook_8,    ///< an index into a table in memory for every eight values, and their signs (iq1, iq2)
  codebook_4,    ///< for every four (iq3)
};

/// So much of the weights of an expert, by number.
struct PackedPart {
  Packing packing = Packing::other;
  double share = 1;
};

/// How the experts of a weight format are packed; of a file's mixture the mean over its layers. One part of
/// Packing::other for a format that is not ggml's.
std::vector<PackedPart> packed_parts(const std::string& format);

}  // namespace pregate
