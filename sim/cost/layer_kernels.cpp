// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/layer_kernels.hpp"

#include <algorithm>
#include <cmath>

#include "models/error.hpp"
#include "models/layer_count.hpp"

namespace pregate::sim {

namespace {

/// The type of kernel that computes with weights of this format; empty: none of those that were measured.
std::string kernel_dtype(const std::string& format) {
  if (format == "bf16" || format == "fp16") return "bf16";
  if (format.starts_with("fp8_block")) return "fp8_block";
  if (format.starts_with("int4") || format == "awq" || format == "gptq") return "int4";
  if (format == "fp8" || format == "mxfp4" || format == "nvfp4") return format;
  return {};
}

/// Experts of MXFP4 run Marlin, but for GPT-OSS's, which vLLM has a method of its own for: triton_kernels on
/// GPUs where that was measured.
std::string expert_dtype(const GpuKernelTimes& gpu, const ModelSpec& model, const std::string& format) {
  if (format != "mxfp4") return kernel_dtype(format);
  const bool has_own = gpu.find(KernelFamily::fused_moe, format) != nullptr;
  return has_own && model.family == "gpt_oss" ? format : "mxfp4_marlin";
}

/// `bytes` of one element as stored, `dtype` what kernels call it. A format without constants is widened and
/// runs as bf16.
KernelChoice choose_kernel(const GpuKernelTimes& gpu, KernelFamily family, const std::string& format,
                           const std::string& dtype, double bytes) {
  const KernelFit* fit = dtype.empty() ? nullptr : gpu.find(family, dtype);
  const std::string used = fit != nullptr ? dtype : "bf16";
  if (fit == nullptr) fit = gpu.find(family, used);
  if (fit == nullptr) {
    throw InputError("kernels of " + gpu.measured_on(), "no constants for " + std::string(to_string(family)),
                     "choose a software without kernels.origin (pregate list software)");
  }
  const bool measured = !dtype.empty() && used == dtype;
  KernelChoice choice{family, format, used, measured, kernel_format(used), fit->constants};
  choice.format.weight_bytes = bytes;
  return choice;
}

KernelChoice choose_kernel(const GpuKernelTimes& gpu, KernelFamily family, const std::string& format,
                           double bytes) {
  return choose_kernel(gpu, family, format, kernel_dtype(format), bytes);
}

/// Of blocks that share a scale few activations have a kernel of their own (FlashInfer's), on GPUs where that
/// was measured.
std::optional<KernelChoice> choose_few(const GpuKernelTimes& gpu, const KernelChoice& kernel, double bytes) {
  const std::string few = "fp8_block_few";
  if (kernel.dtype != "fp8_block" || gpu.find(kernel.family, few) == nullptr) return std::nullopt;
  return choose_kernel(gpu, kernel.family, kernel.asked, few, bytes);
}

double bytes_of(const WeightFormat& format) { return format.bits_per_parameter / 8; }

/// Of the cache: attention reads keys and values where weights are read elsewhere.
KernelChoice attention_kernel(const GpuKernelTimes& gpu, KernelFamily family, const WeightFormat& cache) {
  KernelChoice choice = choose_kernel(gpu, family, cache.name, bytes_of(cache));
  choice.format.activation_bytes = bytes_of(cache);
  return choice;
}

class Products {
 public:
  Products(const GpuKernelTimes& gpu, const WeightFormat& format, double bytes)
      : kernel_(choose_kernel(gpu, KernelFamily::gemm, format.name, bytes)),
        few_(choose_few(gpu, kernel_, bytes)) {}
  void add(std::int64_t n, std::int64_t k) {
    if (n > 0 && k > 0) products_.push_back({n, k, kernel_, few_});
  }
  /// What the others leave of so many multiply-adds a token, as one product with the hidden state.
  void add_rest(double products, std::int64_t k) {
    for (const Product& each : products_)
      products -= static_cast<double>(each.n) * static_cast<double>(each.k);
    add(std::llround(products / static_cast<double>(k)), k);
  }
  std::vector<Product> take() { return std::move(products_); }

 private:
  KernelChoice kernel_;
  std::optional<KernelChoice> few_;
  std::vector<Product> products_;
};

/// Input and output projections; whatever else a mixer multiplies with counts with the input's. Latent
/// attention: the down projections of query and key in one, the query's up projection, the product that is
/// absorbed into query and output, the output.
std::vector<Product> projections(const Mixer& mixer, const LayerProfile& profile, std::int64_t d_model,
                                 Products products) {
  const std::int64_t heads = mixer.heads;
  if (mixer.kind == MixerKind::multi_head_latent) {
    const std::int64_t query = heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim);
    const std::int64_t latent = mixer.kv_lora_rank, key = latent + mixer.qk_rope_head_dim;
    const std::int64_t value = mixer.v_head_dim > 0 ? mixer.v_head_dim : mixer.qk_nope_head_dim;
    products.add(key + (mixer.q_lora_rank > 0 ? mixer.q_lora_rank : query), d_model);
    if (mixer.q_lora_rank > 0) products.add(query, mixer.q_lora_rank);
    products.add(heads * (mixer.qk_nope_head_dim + value), latent);
    products.add(d_model, heads * value);
  } else {
    const double all = profile.attention_flop_per_token / 2;
    const std::int64_t width = heads * mixer.value_dim();
    if (static_cast<double>(width) * static_cast<double>(d_model) < all) products.add(d_model, width);
  }
  products.add_rest(profile.attention_flop_per_token / 2, d_model);
  return products.take();
}

void choose_scores(const Mixer& mixer, const WeightFormat& cache, const GpuKernelTimes& gpu,
                   LayerKernels& kernels) {
  using Scores = LayerKernels::Scores;
  constexpr int measured_latent = 512, measured_rope = 64;
  if (mixer.kind == MixerKind::grouped_query) {
    kernels.scores = Scores::grouped_query;
    kernels.decode = attention_kernel(gpu, KernelFamily::attention_decode, cache);
    kernels.prefill = attention_kernel(gpu, KernelFamily::attention_prefill, cache);
  } else if (mixer.kind == MixerKind::multi_head_latent && mixer.kv_lora_rank == measured_latent &&
             mixer.qk_rope_head_dim == measured_rope &&
             gpu.find(KernelFamily::mla_decode, "bf16") != nullptr) {
    kernels.scores = Scores::latent;
    kernels.decode = attention_kernel(gpu, KernelFamily::mla_decode, cache);
    kernels.prefill = attention_kernel(gpu, KernelFamily::attention_prefill, cache);
  } else if (mixer.kind == MixerKind::gated_delta_net && mixer.conv_kernel > 0 &&
             gpu.find(KernelFamily::delta_decode, "bf16") != nullptr) {
    constexpr double bf16 = 2;
    kernels.scores = Scores::delta;
    kernels.decode = choose_kernel(gpu, KernelFamily::delta_decode, "bf16", bf16);
    kernels.prefill = choose_kernel(gpu, KernelFamily::delta_prefill, "bf16", bf16);
    kernels.conv_decode = choose_kernel(gpu, KernelFamily::conv_decode, "bf16", bf16);
    kernels.conv_prefill = choose_kernel(gpu, KernelFamily::conv_prefill, "bf16", bf16);
  }
}

}  // namespace

LayerKernels layer_kernels(const ModelSpec& model, const Stack& stack, const LayerProfile& profile,
                           const GpuKernelTimes& gpu) {
  const Layer& layer = stack.layers[static_cast<std::size_t>(profile.layer)];
  const Mixer& mixer = stack.mixers[static_cast<std::size_t>(layer.mixer)];
  const FeedForward& feed_forward = stack.feed_forwards[static_cast<std::size_t>(layer.feed_forward)];
  const PartFormats formats = model.formats_of(layer);
  const std::int64_t d_model = model.d_model;
  LayerKernels kernels;
  kernels.mixer = mixer;
  const auto as_stored = [](Bytes weights, double flop, const WeightFormat& format) {
    return flop > 0 ? static_cast<double>(weights.count) / (flop / 2) : bytes_of(format);
  };
  if (mixer.kind != MixerKind::none) {
    kernels.projections = projections(
        mixer, profile, d_model,
        Products(gpu, formats.attention,
                 as_stored(profile.attention_weights, profile.attention_flop_per_token, formats.attention)));
    choose_scores(mixer, model.kv_format, gpu, kernels);
  }
  if (feed_forward.kind == FeedForward::Kind::dense) {
    const std::int64_t inner = feed_forward.ffn_dim;
    Products products(gpu, formats.dense_ffn,
                      as_stored(profile.ffn_weights, profile.ffn_flop_per_token, formats.dense_ffn));
    products.add((feed_forward.gated ? 2 : 1) * inner, d_model);
    products.add(d_model, inner);
    kernels.feed_forward = products.take();
  } else if (feed_forward.kind == FeedForward::Kind::moe) {
    const MoeBlock& moe = feed_forward.moe;
    Products router(gpu, formats.router, bytes_of(formats.router));
    router.add(moe.experts, d_model);
    kernels.router = router.take();
    Products shared(gpu, formats.shared_experts, bytes_of(formats.shared_experts));
    shared.add((moe.gated ? 2 : 1) * moe.shared_ffn_dim, d_model);
    shared.add(d_model, moe.shared_ffn_dim);
    shared.add(moe.latent_dim, d_model);
    shared.add(d_model, moe.latent_dim);
    kernels.feed_forward = shared.take();
    kernels.expert_width = profile.expert_gemm_columns_out;
    kernels.expert_inner = profile.expert_ffn_dim;
    kernels.gated = moe.gated;
    kernels.experts = choose_kernel(
        gpu, KernelFamily::fused_moe, profile.expert_format, expert_dtype(gpu, model, profile.expert_format),
        as_stored(profile.expert, profile.expert_flop_per_token, formats.experts));
  }
  return kernels;
}

Product head_kernel(const ModelSpec& model, const GpuKernelTimes& gpu) {
  const WeightFormat& format = model.head_format.bits_per_parameter > 0        ? model.head_format
                               : model.embedding_format.bits_per_parameter > 0 ? model.embedding_format
                                                                               : model.dense_format;
  const double parameters = static_cast<double>(model.vocabulary) * model.d_model;
  const double bytes = static_cast<double>(model.head_bytes().count) / parameters;
  const KernelChoice kernel = choose_kernel(gpu, KernelFamily::gemm, format.name, bytes);
  return {model.vocabulary, model.d_model, kernel, choose_few(gpu, kernel, bytes)};
}

}  // namespace pregate::sim
