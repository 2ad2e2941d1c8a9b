// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/collectives/measured_collectives.hpp"

#include <cmath>
#include <cstdint>
#include <string>

#include "models/error.hpp"
#include "validation/kernels/fnv1a.hpp"
#include "validation/kernels/gzip_table.hpp"

namespace pregate::validation {
namespace {

int bytes_of_element(const std::string& type, const std::string& where) {
  if (type == "int8") return 1;
  if (type == "half" || type == "bfloat16") return 2;
  throw InputError(where, "'" + printable(type) + "' is no type of a collective that is known here");
}

bool is_judged(const MeasuredCollective& row) {
  constexpr int split_bit = 32;
  const std::string launch = row.library == CollectiveLibrary::nccl  ? ""
                             : row.launch == CollectiveLaunch::graph ? "_graph"
                                                                     : "_eager";
  const std::string text = std::string(to_string(row.library)) + launch + ',' +
                           std::string(to_string(row.kind)) + ',' + std::to_string(row.gpus) + ',' +
                           std::to_string(static_cast<std::int64_t>(row.bytes));
  return ((fnv1a(text) >> split_bit) & 1) != 0;
}

Collective kind_of(const std::string& name, const std::string& where) {
  if (name == "alltoall") return Collective::all_to_all;
  for (const Collective kind : collectives()) {
    if (to_string(kind) == name) return kind;
  }
  throw InputError(where, "'" + printable(name) + "' is no collective that is known here");
}

MeasuredCollective row_of(const GzipTable& table, const std::string& where, bool nccl) {
  MeasuredCollective row;
  row.library = nccl ? CollectiveLibrary::nccl : CollectiveLibrary::vllm;
  row.kind = nccl ? kind_of(std::string(table.text("op_name")), where) : Collective::all_reduce;
  row.launch = table.text("backend") == "vllm_eager" ? CollectiveLaunch::eager : CollectiveLaunch::graph;
  row.gpus = static_cast<int>(table.number("num_gpus"));
  const std::string type(table.text(nccl ? "nccl_dtype" : "allreduce_dtype"));
  row.bytes = table.number("message_size") * bytes_of_element(type, where);
  row.seconds = table.number("latency_ms") * 1e-3;
  row.judged = is_judged(row);
  return row;
}

}  // namespace

std::vector<MeasuredCollective> read_measured_collectives(const std::filesystem::path& folder) {
  std::vector<MeasuredCollective> rows;
  for (const char* file : {"nccl.csv.gz", "allreduce.csv.gz"}) {
    const std::filesystem::path path = folder / file;
    GzipTable table(path);
    while (table.next()) {
      const MeasuredCollective row = row_of(table, path.string(), std::string(file) == "nccl.csv.gz");
      if (row.seconds > 0 && row.gpus > 1 && row.bytes > 0) rows.push_back(row);
    }
  }
  return rows;
}

bool is_of(const MeasuredCollective& row, const CollectiveFit& fit, const GpuCollectives& gpu) {
  const CollectiveFit& used = sim::kernels_of(row.kind, row.library, row.bytes, row.gpus, gpu);
  return used.kernels == fit.kernels && used.kind == fit.kind;
}

double mean_error(std::span<const MeasuredCollective> rows, const GpuCollectives& gpu) {
  double sum = 0;
  for (const MeasuredCollective& row : rows)
    sum += std::abs(
        sim::collective_time(row.kind, row.library, row.launch, row.bytes, row.gpus, gpu) / row.seconds - 1);
  return rows.empty() ? 0 : sum / static_cast<double>(rows.size());
}

}  // namespace pregate::validation
