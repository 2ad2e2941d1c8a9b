// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/formats/ggml_types.hpp"

#include <algorithm>
#include <array>

namespace pregate {
namespace {

/// Bytes a block are the sizes of ggml's block structs (ggml-common.h); ids are those of ggml.h. The terms
/// are the scales, then the values.
constexpr std::array types{
    GgmlType{0, "f32", 1, 4},
    GgmlType{1, "f16", 1, 2},
    GgmlType{2, "q4_0", 32, 2 + 16},
    GgmlType{3, "q4_1", 32, 2 + 2 + 16},
    GgmlType{6, "q5_0", 32, 2 + 4 + 16},
    GgmlType{7, "q5_1", 32, 2 + 2 + 4 + 16},
    GgmlType{8, "q8_0", 32, 2 + 32},
    GgmlType{9, "q8_1", 32, 2 + 2 + 32},
    GgmlType{10, "q2_k", 256, 2 + 2 + 16 + 64, true, 16},
    GgmlType{11, "q3_k", 256, 2 + 12 + 32 + 64, true, 16},
    GgmlType{12, "q4_k", 256, 2 + 2 + 12 + 128},
    GgmlType{13, "q5_k", 256, 2 + 2 + 12 + 32 + 128},
    GgmlType{14, "q6_k", 256, 2 + 16 + 64 + 128, true, 16},
    GgmlType{15, "q8_k", 256, 4 + 32 + 256},
    GgmlType{16, "iq2_xxs", 256, 2 + 64},
    GgmlType{17, "iq2_xs", 256, 2 + 8 + 64, true, 16},
    GgmlType{18, "iq3_xxs", 256, 2 + 32 + 64},
    GgmlType{19, "iq1_s", 256, 2 + 16 + 32},
    GgmlType{20, "iq4_nl", 32, 2 + 16},
    GgmlType{21, "iq3_s", 256, 2 + 4 + 8 + 32 + 64},
    GgmlType{22, "iq2_s", 256, 2 + 8 + 8 + 64, true, 16},
    GgmlType{23, "iq4_xs", 256, 2 + 2 + 4 + 128},
    GgmlType{24, "i8", 1, 1, false},
    GgmlType{25, "i16", 1, 2, false},
    GgmlType{26, "i32", 1, 4, false},
    GgmlType{27, "i64", 1, 8, false},
    GgmlType{28, "f64", 1, 8},
    GgmlType{29, "iq1_m", 256, 8 + 16 + 32, true, 16},
    GgmlType{30, "bf16", 1, 2},
    GgmlType{34, "tq1_0", 256, 2 + 4 + 48},
    GgmlType{35, "tq2_0", 256, 2 + 64},
    GgmlType{39, "mxfp4", 32, 1 + 16, true, 32, true},
    GgmlType{40, "nvfp4", 64, 4 + 32, true, 16, true},
    GgmlType{41, "q1_0", 128, 2 + 16},
    GgmlType{42, "q2_0", 64, 2 + 16},
};

}  // namespace

std::span<const GgmlType> ggml_types() { return types; }

const GgmlType* ggml_type(std::uint32_t id) {
  const auto* const found =
      std::find_if(types.begin(), types.end(), [&](const GgmlType& t) { return t.id == id; });
  return found == types.end() ? nullptr : found;
}

const GgmlType* ggml_type_named(std::string_view name) {
  const auto* const found =
      std::find_if(types.begin(), types.end(), [&](const GgmlType& t) { return t.name == name; });
  return found == types.end() ? nullptr : found;
}

}  // namespace pregate
