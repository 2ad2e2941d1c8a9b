// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/fields/fields.hpp"
#include "models/layer_launches.hpp"

namespace pregate {

/// The table `layers`: of a software the kernels of layers that are not the plain one, of a machine what they
/// take.
template <typename Value>
Fields<LayerLaunches<Value>> layer_launch_fields(const Range& range) {
  using Mixers = typename LayerLaunches<Value>::Mixers;
  using Added = typename LayerLaunches<Value>::Added;
  Fields<Mixers> mixers;
  const auto mixer = [&](const char* key, Value Mixers::*member, const char* help) {
    mixers.add_where_set(key, member, help, range).or_zero("as attention");
  };
  mixer("latent", &Mixers::latent, "of latent attention (MLA) and its norm, in place of attention");
  mixer("delta", &Mixers::delta, "of a gated delta net, likewise");
  mixer("kimi_delta", &Mixers::kimi_delta, "of Kimi's delta attention, likewise");
  mixer("mamba2", &Mixers::mamba2, "of Mamba-2, likewise");
  mixer("mamba", &Mixers::mamba, "of Mamba, likewise");
  mixer("convolution", &Mixers::convolution, "of a short convolution, likewise");
  Fields<Added> added;
  const auto add = [&](const char* key, Value Added::*member, const char* help) {
    added.add_where_set(key, member, help, range).or_zero("nothing");
  };
  add("query_rank", &Added::query_rank, "on top, of a query projection of low rank");
  add("qk_norm", &Added::qk_norm, "on top, of norms of query and key");
  add("output_gate", &Added::output_gate, "on top, of a gate of what attention gives");
  add("post_norm", &Added::post_norm, "on top, of a norm behind the mixer");
  add("shared", &Added::shared, "on top, of shared experts");
  add("shared_gate", &Added::shared_gate, "on top, of their gate");
  add("beside", &Added::beside,
      "on top and in place of shared, of a dense feed-forward beside the experts, each with norms of its "
      "own");
  Fields<LayerLaunches<Value>> fields;
  fields.add_table("mixers", &LayerLaunches<Value>::mixers, mixers);
  fields.add_table("added", &LayerLaunches<Value>::added, added);
  return fields;
}

}  // namespace pregate
