// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/kernels/measured_rows.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <tuple>

#include "models/error.hpp"
#include "sim/cost/kernel_parts.hpp"
#include "validation/kernels/fnv1a.hpp"
#include "validation/kernels/gzip_table.hpp"

namespace pregate::validation {
namespace {

/// Loads of a routing, computed once for the many rows that share it.
class Loads {
 public:
  const sim::ExpertLoad& of(const sim::RoutingShape& shape, double exponent, sim::Leftover leftover) {
    const auto [entry, added] = loads_.try_emplace(
        std::tuple(shape.tokens, shape.top_k, shape.experts, shape.gpus, exponent, leftover));
    if (added)
      entry->second =
          exponent > 0 ? sim::power_law_load(shape, exponent, leftover) : sim::balanced_load(shape);
    return entry->second;
  }

 private:
  std::map<std::tuple<int, int, int, int, double, sim::Leftover>, sim::ExpertLoad> loads_;
};

struct Reader {
  const std::string& architecture;
  const KernelPeaks& gpu;
  Loads loads = {};
};

std::int64_t whole(const GzipTable& table, std::string_view column) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::min(table.number(column), 1e9)));
}

/// The project's name of a data type in these files.
std::string dtype_of(std::string_view name) {
  if (name == "bfloat16") return "bf16";
  if (name == "int4_wo") return "int4";
  if (name == "w4a16_mxfp4") return "mxfp4";
  return std::string(name);
}

MeasuredKernel row_of(KernelFamily family, std::string dtype, KernelShape shape) {
  MeasuredKernel row;
  row.family = family;
  row.dtype = std::move(dtype);
  row.shape = shape;
  row.format = row.weights = sim::kernel_format(row.dtype);
  return row;
}

bool fits_l2(double bytes, const KernelPeaks& gpu) { return bytes <= static_cast<double>(gpu.l2.count); }

/// By the name that the file gives the kernel. CUTLASS's of 8 bits compute in clusters on Hopper.
sim::ProductKernel product_kernel_of(std::string_view name, const std::string& architecture) {
  if (name.starts_with("DeepGemm")) return sim::ProductKernel::deep_gemm;
  return name.starts_with("Cutlass") && architecture == "hopper" ? sim::ProductKernel::clustered
                                                                 : sim::ProductKernel::best_tiles;
}

std::optional<MeasuredKernel> gemm_row(const GzipTable& table, Reader& reader) {
  const sim::GemmShape shape{whole(table, "m"), whole(table, "n"), whole(table, "k")};
  MeasuredKernel row = row_of(KernelFamily::gemm, dtype_of(table.text("gemm_dtype")), shape);
  const std::string_view name = table.text("kernel_source");
  row.packed = static_cast<double>(product_kernel_of(name, reader.architecture));
  // DeepGEMM takes more rows; the two have little in common.
  row.launched = row.dtype == "fp8_block";  // activations are quantised by Python's own kernels
  if (row.launched && name.starts_with("FlashInfer")) row.dtype = "fp8_block_few";
  if (fits_l2(weight_bytes(shape, row.format), reader.gpu)) return std::nullopt;
  return row;
}

/// Rows of the older measuring program, by the name that it gives the kernel: it knew gated experts only and
/// gave what rounding left over to the experts with the fewest tokens.
bool is_of_older_program(const GzipTable& table) { return table.text("kernel_source") == "vllm_fused_moe"; }

/// The files do not say it: experts of Nemotron-H (squared ReLU) have no gate. By the public configurations
/// of Nemotron 3 Nano (2688 x 1856, 6 of 128) and Super (22 of 512).
bool is_ungated(const GzipTable& table) {
  if (is_of_older_program(table)) return false;
  return table.number("topk") == 22 ||
         (table.number("hidden_size") == 2688 && table.number("inter_size") == 1856);
}

/// By the name that the file gives the kernel.
sim::ExpertKernel expert_kernel_of(const GzipTable& table, const KernelPeaks& gpu) {
  const auto names = [source = table.text("kernel_source")](std::string_view part) {
    return source.find(part) != std::string_view::npos;
  };
  if (is_of_older_program(table)) return sim::ExpertKernel::default_triton;
  if (names("marlin")) return sim::ExpertKernel::marlin;
  if (names("oaitriton")) return sim::ExpertKernel::triton_kernels;
  // On Blackwell of this kind only those of 4 bits are warp-specialised, bf16 and fp8 run Ampere's and Ada's;
  // blocks of 8 bits have kernels of their own.
  const std::string_view dtype = table.text("moe_dtype");
  const bool has_fp4 = gpu.rates.find("fp4") != gpu.rates.end();
  if (names("cutlass") && dtype == (has_fp4 ? "nvfp4" : "fp8")) return sim::ExpertKernel::cutlass;
  return sim::ExpertKernel::tuned;
}

std::optional<MeasuredKernel> moe_row(const GzipTable& table, Reader& reader) {
  constexpr std::int64_t most = 1 << 20;
  const auto count = [&](std::string_view column) {
    return static_cast<int>(std::min(whole(table, column), most));
  };
  const sim::RoutingShape routing{count("num_tokens"), count("topk"), count("num_experts"),
                                  count("moe_ep_size")};
  if (routing.top_k > routing.experts || routing.gpus > routing.experts) return std::nullopt;
  double exponent = 0;
  constexpr std::string_view power_law = "power_law_";
  const std::string_view distribution = table.text("distribution");
  if (distribution.starts_with(power_law))
    std::from_chars(distribution.data() + power_law.size(), distribution.data() + distribution.size(),
                    exponent);
  const sim::Leftover leftover =
      is_of_older_program(table) ? sim::Leftover::least_loaded : sim::Leftover::where_rounding_erred;
  const sim::MoeShape shape{reader.loads.of(routing, exponent, leftover), whole(table, "hidden_size"),
                            whole(table, "inter_size") / whole(table, "moe_tp_size"), !is_ungated(table)};
  MeasuredKernel row = row_of(KernelFamily::fused_moe, dtype_of(table.text("moe_dtype")), shape);
  row.packed = static_cast<double>(expert_kernel_of(table, reader.gpu));
  // triton_kernels reach three times Marlin's rate in this format.
  if (row.dtype == "mxfp4" && expert_kernel_of(table, reader.gpu) == sim::ExpertKernel::marlin)
    row.dtype = "mxfp4_marlin";
  if (fits_l2(weight_bytes(shape, row.format), reader.gpu)) return std::nullopt;
  return row;
}

sim::AttentionShape attention_shape(const GzipTable& table) {
  sim::AttentionShape shape;
  shape.batch = whole(table, "batch_size");
  shape.queries = whole(table, "isl");
  shape.context = shape.queries + static_cast<std::int64_t>(table.number("step"));
  shape.heads = whole(table, "num_heads");
  shape.kv_heads = whole(table, "num_key_value_heads");
  shape.head_dim = whole(table, "head_dim");
  shape.window = static_cast<std::int64_t>(table.number("window_size"));
  return shape;
}

/// By the name that the file gives the kernel; FlashAttention without a number is the second.
sim::AttentionKernel attention_kernel_of(std::string_view name) {
  if (!name.starts_with("vllm_flash_attn")) return sim::AttentionKernel::flash_infer;
  const bool newer = name.ends_with("_fa3") || name.ends_with("_fa4");
  return newer ? sim::AttentionKernel::flash_attention_3 : sim::AttentionKernel::flash_attention_2;
}

std::optional<MeasuredKernel> decode_row(const GzipTable& table, Reader&) {
  MeasuredKernel row =
      row_of(KernelFamily::attention_decode, dtype_of(table.text("kv_cache_dtype")), attention_shape(table));
  // In bf16 walks of all heads start alike; over 8 bits a fit says it (KernelConstants::packed).
  const bool two =
      attention_kernel_of(table.text("kernel_source")) == sim::AttentionKernel::flash_attention_2;
  if (row.dtype == "bf16")
    row.packed = static_cast<double>(two ? sim::AttentionKernel::flash_attention_2
                                         : sim::AttentionKernel::flash_infer);
  return row;
}

std::optional<MeasuredKernel> prefill_row(const GzipTable& table, Reader&) {
  MeasuredKernel row =
      row_of(KernelFamily::attention_prefill, dtype_of(table.text("kv_cache_dtype")), attention_shape(table));
  row.packed = static_cast<double>(attention_kernel_of(table.text("kernel_source")));
  return row;
}

sim::MlaShape mla_shape(const GzipTable& table) {
  return {whole(table, "batch_size"), whole(table, "isl") + static_cast<std::int64_t>(table.number("step")),
          whole(table, "num_heads")};
}

std::optional<MeasuredKernel> mla_row(const GzipTable& table, Reader&) {
  MeasuredKernel row =
      row_of(KernelFamily::mla_decode, dtype_of(table.text("kv_cache_dtype")), mla_shape(table));
  row.launched = true;
  return row;
}

std::optional<MeasuredKernel> mla_layer_row(const GzipTable& table, Reader&) {
  // `step` counts the keys before, as in the other files.
  MeasuredKernel row =
      row_of(KernelFamily::mla_layer_decode, dtype_of(table.text("kv_cache_dtype")), mla_shape(table));
  row.weights = sim::kernel_format(dtype_of(table.text("gemm_type")));
  return row;
}

std::optional<MeasuredKernel> linear_row(const GzipTable& table, Reader&) {
  const bool conv = table.text("kernel_source").starts_with("causal_conv1d");
  const bool decode = table.text("phase") == "generation";
  sim::LinearShape shape;
  shape.batch = whole(table, "batch_size");
  shape.tokens = whole(table, "seq_len");
  shape.key_heads = whole(table, "num_k_heads");
  shape.key_dim = whole(table, "head_k_dim");
  shape.value_heads = whole(table, "num_v_heads");
  shape.value_dim = whole(table, "head_v_dim");
  shape.taps = whole(table, "d_conv");
  const KernelFamily family = conv ? (decode ? KernelFamily::conv_decode : KernelFamily::conv_prefill)
                                   : (decode ? KernelFamily::delta_decode : KernelFamily::delta_prefill);
  return row_of(family, "bf16", shape);
}

using RowReader = std::optional<MeasuredKernel> (*)(const GzipTable&, Reader&);
constexpr std::array<std::pair<const char*, RowReader>, 7> files{{
    {"gemm.csv.gz", gemm_row},
    {"moe.csv.gz", moe_row},
    {"attention_decode.csv.gz", decode_row},
    {"attention_prefill.csv.gz", prefill_row},
    {"mla_decode.csv.gz", mla_row},
    {"mla_module_decode.csv.gz", mla_layer_row},
    {"linear_attention.csv.gz", linear_row},
}};

}  // namespace

std::vector<MeasuredKernel> read_measured_kernels(const std::filesystem::path& folder,
                                                  const GpuKernels& gpu) {
  constexpr int split_bit = 32;
  std::vector<MeasuredKernel> rows;
  Reader reader{gpu.architecture, gpu.peaks};
  for (const auto& [file, read] : files) {
    if (!std::filesystem::exists(folder / file)) continue;
    GzipTable table(folder / file);
    while (table.next()) {
      std::optional<MeasuredKernel> row = read(table, reader);
      if (!row) continue;
      row->seconds = table.number("latency_ms") * 1e-3;
      if (!(row->seconds > 0)) continue;
      row->hash = fnv1a(table.row_without("latency_ms"));
      row->judged = ((row->hash >> split_bit) & 1) != 0;
      rows.push_back(*std::move(row));
    }
  }
  return rows;
}

double predicted_seconds(const MeasuredKernel& row, const KernelPeaks& gpu, KernelConstants constants) {
  using sim::Residency;
  constants.packed = row.packed.value_or(constants.packed);
  switch (row.family) {
    case KernelFamily::gemm:
      return gemm_time(std::get<sim::GemmShape>(row.shape), gpu, row.format, constants);
    case KernelFamily::fused_moe:
      return fused_moe_time(std::get<sim::MoeShape>(row.shape), gpu, row.format, constants);
    case KernelFamily::attention_decode:
      return attention_decode_time(std::get<sim::AttentionShape>(row.shape), gpu, row.format, constants,
                                   Residency::repeated);
    case KernelFamily::attention_prefill:
      return attention_prefill_time(std::get<sim::AttentionShape>(row.shape), gpu, row.format, constants);
    case KernelFamily::mla_decode:
      return mla_decode_time(std::get<sim::MlaShape>(row.shape), gpu, row.format, constants,
                             Residency::repeated);
    case KernelFamily::mla_layer_decode:
      return mla_layer_decode_time(std::get<sim::MlaShape>(row.shape), gpu, row.format, row.weights,
                                   constants, Residency::repeated);
    case KernelFamily::conv_decode:
      return conv_decode_time(std::get<sim::LinearShape>(row.shape), gpu, constants, Residency::repeated);
    case KernelFamily::conv_prefill:
      return conv_prefill_time(std::get<sim::LinearShape>(row.shape), gpu, constants, Residency::repeated);
    case KernelFamily::delta_decode:
      return delta_decode_time(std::get<sim::LinearShape>(row.shape), gpu, constants, Residency::repeated);
    case KernelFamily::delta_prefill:
      return delta_prefill_time(std::get<sim::LinearShape>(row.shape), gpu, constants);
  }
  return 0;
}

}  // namespace pregate::validation
