// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Fields that say a thing for each layer, in the forms that families use.
#pragma once

#include <string>
#include <vector>

#include "models/model.hpp"
#include "models/table_reader.hpp"

namespace pregate::families {

/// A whole number for all layers, or a list with one a layer; empty when absent.
std::vector<int> number_by_layer(TableReader& config, const char* key, int layers);

/// A list with one word a layer. Lists that go on over `beyond` layers of multi-token prediction are cut to
/// `layers`; any other length is an InputError. Empty when absent.
std::vector<std::string> words_and_beyond(TableReader& config, const char* key, int layers, int beyond);

/// mlp_layer_types of transformers, "dense" or "sparse": whether a layer is sparse. Empty when absent.
std::vector<bool> sparse_layers(TableReader& config, int layers, int beyond = 0);
/// layer_types, cut likewise: whether a layer is "sliding_attention" rather than "full_attention". Empty when
/// absent.
std::vector<bool> sliding_layers(TableReader& config, int layers, int beyond = 0);

/// What per_layer_config of transformers 5 says of one layer's attention, laid over `attention`: heads,
/// key-value heads, head_dim. InputError for any other field.
Mixer with_layer_config(TableReader& config, int layer, Mixer attention);

/// Refuses keys of a nested table that nobody asked for and that are not free.
void refuse_unread(TableReader& table, const std::vector<std::string>& free);

}  // namespace pregate::families
