// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/collective_constants.hpp"

#include <algorithm>
#include <array>

#include "models/document.hpp"
#include "models/embedded.hpp"
#include "models/error.hpp"
#include "models/table_reader.hpp"

namespace pregate {
namespace {

constexpr CollectiveConstant low_floor{"low_floor_us", &CollectiveConstants::low_floor_s, 1e-6, 5, 0.1, 200};
constexpr CollectiveConstant low_step{"low_step_us", &CollectiveConstants::low_step_s, 1e-6, 0.5, 0.001, 50};
constexpr CollectiveConstant low_rate{"low_rate_gb_s", &CollectiveConstants::low_rate, 1e9, 20, 0.1, 1000};
constexpr CollectiveConstant bulk_floor{
    "bulk_floor_us", &CollectiveConstants::bulk_floor_s, 1e-6, 20, 0.1, 1000};
constexpr CollectiveConstant bulk_step{
    "bulk_step_us", &CollectiveConstants::bulk_step_s, 1e-6, 2, 0.001, 200};
constexpr CollectiveConstant bulk_rate{
    "bulk_rate_gb_s", &CollectiveConstants::bulk_rate, 1e9, 100, 0.1, 1000};
constexpr CollectiveConstant own_rate{"own_rate_gb_s", &CollectiveConstants::own_rate, 1e9, 800, 1, 10'000};
constexpr CollectiveConstant sharing{"sharing", &CollectiveConstants::sharing, 1, 0.5, 0.001, 3};
constexpr CollectiveConstant switch_kib{"switch_kib", &CollectiveConstants::switch_bytes, 1024, 1024, 16,
                                        16'384};

constexpr std::array nccl_constants{low_floor, low_step, low_rate, bulk_floor, bulk_step,
                                    bulk_rate, own_rate, sharing,  switch_kib};
constexpr std::array vllm_constants{low_floor, low_step, low_rate, bulk_floor, bulk_step, bulk_rate};
constexpr std::array vllm_pair_constants{low_floor, low_rate};

template <typename T>
struct Named {
  T value;
  std::string_view name;
};

constexpr std::array<Named<Collective>, 4> collective_names{{{Collective::all_reduce, "all_reduce"},
                                                             {Collective::all_gather, "all_gather"},
                                                             {Collective::reduce_scatter, "reduce_scatter"},
                                                             {Collective::all_to_all, "all_to_all"}}};
constexpr std::array<Named<CollectiveLibrary>, 2> library_names{
    {{CollectiveLibrary::nccl, "nccl"}, {CollectiveLibrary::vllm, "vllm"}}};
constexpr std::array<Named<CollectiveKernels>, 3> kernel_names{
    {{CollectiveKernels::nccl, "nccl"},
     {CollectiveKernels::vllm, "vllm"},
     {CollectiveKernels::nccl_in_vllm, "nccl in vllm"}}};
constexpr std::array<Named<GpuLinks>, 2> link_names{{{GpuLinks::nvlink, "nvlink"}, {GpuLinks::pcie, "pcie"}}};

template <typename T, std::size_t size>
std::string_view name_among(const std::array<Named<T>, size>& all, T value) {
  return std::find_if(all.begin(), all.end(), [&](const Named<T>& each) { return each.value == value; })
      ->name;
}

template <typename T, std::size_t size>
constexpr std::array<T, size> all_of(const std::array<Named<T>, size>& all) {
  std::array<T, size> values{};
  for (std::size_t i = 0; i < size; ++i) values[i] = all[i].value;
  return values;
}

template <typename T, std::size_t size>
T chosen(TableReader& table, std::string_view key, const std::array<Named<T>, size>& all) {
  const std::string text = table.text(key);
  std::vector<std::string> names;
  for (const Named<T>& each : all) {
    if (each.name == text) return each.value;
    names.emplace_back(each.name);
  }
  throw InputError(table.where(key), "'" + printable(text) + "' is not known here", suggest(text, names));
}

double number_within(TableReader& table, std::string_view key, double least, double most) {
  const double value = table.number(key);
  if (value < least || value > most) {
    throw InputError(table.where(key),
                     "must be between " + std::to_string(least) + " and " + std::to_string(most));
  }
  return value;
}

CollectiveFit read_collective(TableReader& table, GpuLinks over) {
  CollectiveFit fit;
  fit.kernels = chosen(table, "kernels", kernel_names);
  fit.kind = chosen(table, "kind", collective_names);
  if (fit.kernels != CollectiveKernels::nccl && fit.kind != Collective::all_reduce)
    throw InputError(table.where("kind"), "only the all_reduce of vLLM is not as NCCL's own");
  constexpr std::int64_t most_rows = 1'000'000'000;
  fit.fitted_rows = static_cast<std::size_t>(table.integer("fitted_rows", 1, most_rows));
  fit.judged_rows = static_cast<std::size_t>(table.integer("judged_rows", 0, most_rows));
  fit.mape = number_within(table, "mape", 0, 100);
  for (const CollectiveConstant& constant : constants_of(fit.kernels, over))
    fit.constants.*constant.member =
        number_within(table, constant.name, constant.least, constant.most) * constant.unit;
  table.finish();
  return fit;
}

}  // namespace

std::span<const Collective> collectives() {
  static constexpr auto all = all_of(collective_names);
  return all;
}

std::span<const CollectiveLibrary> collective_libraries() {
  static constexpr auto all = all_of(library_names);
  return all;
}

std::string_view to_string(Collective collective) { return name_among(collective_names, collective); }
std::string_view to_string(CollectiveKernels kernels) { return name_among(kernel_names, kernels); }
std::string_view to_string(CollectiveLibrary library) { return name_among(library_names, library); }

std::span<const CollectiveConstant> constants_of(CollectiveKernels kernels, GpuLinks links) {
  if (kernels != CollectiveKernels::vllm) return nccl_constants;
  if (links == GpuLinks::pcie) return vllm_pair_constants;
  return vllm_constants;
}

const CollectiveFit* GpuCollectives::find(CollectiveKernels kernels, Collective kind) const {
  const auto found = std::find_if(fits.begin(), fits.end(), [&](const CollectiveFit& fit) {
    return fit.kernels == kernels && fit.kind == kind;
  });
  return found == fits.end() ? nullptr : &*found;
}

std::vector<std::string> collective_gpu_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_collectives()) names.emplace_back(file.name);
  std::sort(names.begin(), names.end());
  return names;
}

GpuCollectives load_gpu_collectives(const std::string& name) {
  for (const EmbeddedFile& file : embedded_collectives()) {
    if (file.name == name) return parse_gpu_collectives(file.text, name, name + ".toml");
  }
  throw InputError("collectives", "no constants of collectives named '" + printable(name) + "'",
                   suggest(name, collective_gpu_names()));
}

GpuCollectives parse_gpu_collectives(std::string_view text, const std::string& name,
                                     const std::string& where) {
  const Node root = parse_toml_document(text, where);
  TableReader top(root, "");
  GpuCollectives all;
  all.name = name;
  all.description = top.text("description");
  all.source = top.text("source");
  all.links = chosen(top, "links", link_names);
  constexpr double us = 1e-6;
  all.eager_s = number_within(top, "eager_us", 0, 1000) * us;
  all.eager_nccl_s = number_within(top, "eager_nccl_us", 0, 1000) * us;
  all.eager_copy = top.byte_rate("eager_copy");
  for (TableReader& table : top.tables("collective")) {
    const CollectiveFit fit = read_collective(table, all.links);
    if (all.find(fit.kernels, fit.kind) != nullptr)
      throw InputError(table.where(), "this collective has constants already");
    all.fits.push_back(fit);
  }
  top.finish();
  return all;
}

}  // namespace pregate
