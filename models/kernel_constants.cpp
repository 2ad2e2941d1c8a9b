// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/kernel_constants.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "models/document.hpp"
#include "models/embedded.hpp"
#include "models/error.hpp"
#include "models/table_reader.hpp"

namespace pregate {
namespace {

using Constants = KernelConstants;

constexpr KernelConstant floor_us{"floor_us", &Constants::floor_s, 1e-6, 5, 0.1, 1000};
constexpr KernelConstant memory{"memory_share", &Constants::memory_share, 1, 0.8, 0.01, 1.1};
constexpr KernelConstant arithmetic{"arithmetic_share", &Constants::arithmetic_share, 1, 0.7, 0.01, 2};
constexpr KernelConstant sm_feed{"sm_feed_gb_s", &Constants::sm_feed, 1e9, 100, 0.1, 2000};
constexpr KernelConstant overlap{"overlap", &Constants::overlap, 1, 3, 0.7, 20};
constexpr KernelConstant wave{"wave_share", &Constants::wave_share, 1, 0.5, 0.001, 1};
constexpr KernelConstant l2_multiple{"l2_multiple", &Constants::l2_multiple, 1, 2, 0.5, 50};
constexpr KernelConstant softmax{"softmax_flop", &Constants::softmax_flop, 1, 64, 0.1, 2000};
constexpr KernelConstant split_us{"split_us", &Constants::split_s, 1e-6, 2, 0.01, 200};
constexpr KernelConstant packed{"packed", &Constants::packed, 1, 1, 0, 1, true};
constexpr KernelConstant expert_kernel{"packed", &Constants::packed, 1, 1, 0, 4, true};
constexpr KernelConstant packed_kernel{"packed", &Constants::packed, 1, 1, 0, 2, true};
constexpr KernelConstant start_us{"start_us", &Constants::start_s, 1e-6, 5, 0.01, 200};
constexpr KernelConstant step_us{"step_us", &Constants::step_s, 1e-6, 1, 0.001, 100};
/// Of latent attention: below the launches of a benchmark that is not replayed a fit does not see it.
constexpr KernelConstant walk_us{"step_us", &Constants::step_s, 1e-6, 1, 0.001, 20};

constexpr std::array products{floor_us, memory, arithmetic, sm_feed, overlap, wave, packed_kernel};
constexpr std::array experts{floor_us, memory, arithmetic, sm_feed, overlap, wave, expert_kernel};
constexpr std::array decode{floor_us, memory, sm_feed, l2_multiple, split_us, step_us, packed_kernel};
constexpr std::array latent_decode{floor_us, memory, arithmetic, sm_feed, walk_us, overlap, packed};
constexpr std::array latent_layer{floor_us, memory, arithmetic, l2_multiple, split_us, overlap, packed};
constexpr std::array prefill{floor_us, memory, arithmetic, softmax, l2_multiple, step_us, packed_kernel};
constexpr std::array streamed{floor_us, memory, l2_multiple};
constexpr std::array ordered{floor_us, memory, l2_multiple, step_us, start_us, overlap, packed};

struct FamilyEntry {
  KernelFamily family;
  std::string_view name;
  std::span<const KernelConstant> constants;
};

constexpr std::array<FamilyEntry, 10> family_entries{{
    {KernelFamily::gemm, "gemm", products},
    {KernelFamily::fused_moe, "fused_moe", experts},
    {KernelFamily::attention_decode, "attention_decode", decode},
    {KernelFamily::attention_prefill, "attention_prefill", prefill},
    {KernelFamily::mla_decode, "mla_decode", latent_decode},
    {KernelFamily::mla_layer_decode, "mla_layer_decode", latent_layer},
    {KernelFamily::conv_decode, "conv_decode", streamed},
    {KernelFamily::conv_prefill, "conv_prefill", streamed},
    {KernelFamily::delta_decode, "delta_decode", streamed},
    {KernelFamily::delta_prefill, "delta_prefill", ordered},
}};

constexpr std::array<std::string_view, 8> dtypes{"bf16", "fp8",   "fp8_block",    "fp8_block_few",
                                                 "int4", "mxfp4", "mxfp4_marlin", "nvfp4"};
constexpr std::array<std::string_view, 4> architectures{"ampere", "ada", "hopper", "blackwell"};

const FamilyEntry& entry(KernelFamily family) {
  return *std::find_if(family_entries.begin(), family_entries.end(),
                       [&](const FamilyEntry& each) { return each.family == family; });
}

std::vector<std::string> strings(std::span<const std::string_view> names) {
  return {names.begin(), names.end()};
}

/// A text that is one of `names`.
std::string one_of(TableReader& table, std::string_view key, std::span<const std::string_view> names) {
  std::string chosen = table.text(key);
  if (std::find(names.begin(), names.end(), chosen) == names.end()) {
    throw InputError(table.where(key), "'" + printable(chosen) + "' is not known here",
                     suggest(chosen, strings(names)));
  }
  return chosen;
}

double bounded(TableReader& table, std::string_view key, double least, double most) {
  const double value = table.number(key);
  if (value < least || value > most) {
    throw InputError(table.where(key),
                     "must be between " + std::to_string(least) + " and " + std::to_string(most));
  }
  return value;
}

KernelPeaks read_peaks(TableReader table) {
  KernelPeaks peaks;
  peaks.memory_bandwidth = table.byte_rate("memory_bandwidth");
  peaks.l2 = table.bytes("l2");
  if (peaks.l2.count <= 0) throw InputError(table.where("l2"), "must be more than 0");
  peaks.sm_count = static_cast<int>(table.integer("sm_count", 1, 100'000));
  if (table.has("launch_us")) peaks.launch_s = bounded(table, "launch_us", 0, 1000) * 1e-6;
  TableReader rates = table.table("rates");
  for (const std::string_view precision : {"bf16", "fp8", "fp4"}) {
    if (rates.has(precision)) peaks.rates.emplace(precision, rates.flop_rate(precision));
  }
  if (peaks.rates.find("bf16") == peaks.rates.end()) rates.flop_rate("bf16");  // says that it is missing
  rates.finish();
  table.finish();
  return peaks;
}

KernelFit read_fit(TableReader& table) {
  KernelFit fit;
  std::vector<std::string_view> names;
  names.reserve(family_entries.size());
  for (const FamilyEntry& each : family_entries) names.push_back(each.name);
  const std::string name = one_of(table, "family", names);
  fit.family = std::find_if(family_entries.begin(), family_entries.end(), [&](const FamilyEntry& each) {
                 return each.name == name;
               })->family;
  fit.dtype = one_of(table, "dtype", dtypes);
  constexpr std::int64_t most_rows = 1'000'000'000;
  fit.fitted_rows = static_cast<std::size_t>(table.integer("fitted_rows", 1, most_rows));
  fit.judged_rows = static_cast<std::size_t>(table.integer("judged_rows", 0, most_rows));
  fit.median = bounded(table, "median", 0, 100);
  fit.percentile_90 = bounded(table, "percentile_90", 0, 100);
  fit.kin_median = table.has("kin_median") ? bounded(table, "kin_median", 0, 100) : 0;
  for (const KernelConstant& constant : constants_of(fit.family))
    fit.constants.*constant.member =
        bounded(table, constant.name, constant.least, constant.most) * constant.unit;
  table.finish();
  return fit;
}

}  // namespace

std::span<const KernelFamily> kernel_families() {
  static constexpr auto all = [] {
    std::array<KernelFamily, family_entries.size()> result{};
    for (std::size_t i = 0; i < family_entries.size(); ++i) result[i] = family_entries[i].family;
    return result;
  }();
  return all;
}

std::string_view to_string(KernelFamily family) { return entry(family).name; }
std::span<const KernelConstant> constants_of(KernelFamily family) { return entry(family).constants; }
std::span<const std::string_view> kernel_dtypes() { return dtypes; }

const KernelFit* GpuKernels::find(KernelFamily family, std::string_view dtype) const {
  const auto found = std::find_if(fits.begin(), fits.end(), [&](const KernelFit& fit) {
    return fit.family == family && fit.dtype == dtype;
  });
  return found == fits.end() ? nullptr : &*found;
}

std::vector<std::string> kernel_gpu_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_kernels()) names.emplace_back(file.name);
  std::sort(names.begin(), names.end());
  return names;
}

GpuKernels load_gpu_kernels(const std::string& name) {
  for (const EmbeddedFile& file : embedded_kernels()) {
    if (file.name == name) return parse_gpu_kernels(file.text, name, name + ".toml");
  }
  throw InputError("kernels", "no kernel constants named '" + printable(name) + "'",
                   suggest(name, kernel_gpu_names()));
}

GpuKernels parse_gpu_kernels(std::string_view text, const std::string& name, const std::string& where) {
  const Node root = parse_toml_document(text, where);
  TableReader top(root, "");
  GpuKernels kernels;
  kernels.name = name;
  kernels.description = top.text("description");
  kernels.source = top.text("source");
  kernels.architecture = one_of(top, "architecture", architectures);
  kernels.peaks = read_peaks(top.table("gpu"));
  for (TableReader& table : top.tables("kernels")) {
    KernelFit fit = read_fit(table);
    if (kernels.find(fit.family, fit.dtype) != nullptr)
      throw InputError(table.where(), "these kernels have constants already");
    kernels.fits.push_back(std::move(fit));
  }
  top.finish();
  return kernels;
}

}  // namespace pregate
