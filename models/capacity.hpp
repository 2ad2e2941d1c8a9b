// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "models/units.hpp"

namespace pregate {

enum class CapacityKind { none, slots, bytes, share };

/// Cache capacity as the user wrote it: `0`, `64 slots`, `4GiB`, `25%`.
/// Per-layer scope: slots are per layer; bytes and shares are of the whole and split evenly over the MoE
/// layers.
struct Capacity {
  CapacityKind kind = CapacityKind::none;
  std::int64_t slots = 0;
  Bytes bytes;
  double share = 0;  ///< of all routed experts, (0, 1]
  bool operator==(const Capacity&) const = default;
};

/// `0`/`none`, `<n> slots`, `<size with unit>`, `<percent>%`. InputError at `where` otherwise.
Capacity parse_capacity(const std::string& text, const std::string& where);
std::string to_string(const Capacity& capacity);

/// Whether it is one that parse_capacity() could have returned.
bool is_sound(const Capacity& capacity);

/// For errors: how a capacity is written.
inline constexpr const char* capacity_hint =
    "write 0, none, '64 slots', a size such as 4GiB, or a share such as 25%";

}  // namespace pregate
