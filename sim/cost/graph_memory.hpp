// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/model.hpp"

namespace pregate::sim {

/// The least multiple of `cells` that holds `entries`.
std::int64_t in_cells(std::int64_t entries, int cells);

/// What an allocator as ggml's (ggml-alloc.c) reserves for the graph of a pass over `tokens` tokens with
/// `cached` entries of a KV cache: a tensor's place is taken again once nothing reads it, so it is the
/// largest of what is alive together. At the end that is the logits, in fp32, of every token, and the normed
/// input of the head:
///     tokens x 4 B x (vocabulary + d_model)
/// In a layer it is the mask of flash attention over the whole cache, as it comes (fp32) and as the kernel
/// takes it (fp16), the residual, and of the feed-forward the gate, the up projection and their product, for
/// each of top-k:
///     tokens x (6 B x cached + 4 B x (d_model + 3 x top_k x ffn_dim))
/// Both are whole tensors, so an upper bound; tests hold them against what people's logs print as "compute
/// buffer size".
Bytes graph_buffers(const ModelSpec& model, std::int64_t tokens, std::int64_t cached);

/// The KV cache of the decoder for `context` tokens where it is allocated by cells: of a window it keeps what
/// a pass of `pass` tokens adds as well.
Bytes cache_in_cells(const ModelSpec& model, std::int64_t context, std::int64_t pass, int cells);

}  // namespace pregate::sim
