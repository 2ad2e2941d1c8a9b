// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Dense models that are wholly on a CPU: what they reach by weight format and by threads is what experts
// reach there, without a GPU beside them.
#include <algorithm>
#include <cmath>
#include <utility>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "models/fields/describe.hpp"
#include "models/fields/read_fields.hpp"
#include "models/readers.hpp"
#include "sim/cost/cpu_products.hpp"
#include "validation/published/case.hpp"
#include "validation/published/case_reader.hpp"
#include "validation/published/fit.hpp"

namespace pregate::validation {

namespace {

struct CpuHost {
  std::string name;
  HostSpec spec;
};

/// Weights that a token is multiplied with.
struct DenseModel {
  std::string name;
  double layers_weights = 0, head_weights = 0;
  int layers = 1;
};

struct Measured {
  std::string format, head;
  double bits = 0;  ///< a weight of the layers, where a file has others among them; 0: the format's
  int threads = 1, tokens = 1;
  double published = 0;
};

struct CpuSeries {
  std::string name, metric;
  std::size_t host = 0, model = 0;
  Role role = Role::predict;
  std::vector<Measured> rows;
};

/// What of a host's CPU a constant is; of its cores GB/s.
double& number_of(HostSpec& host, const std::string& key) {
  HostComputeSpec& compute = host.compute;
  PackedShares& packed = compute.packed;
  const std::pair<const char*, double*> numbers[] = {{"whole", &packed.whole},
                                                     {"blocks", &packed.blocks},
                                                     {"super_blocks", &packed.super_blocks},
                                                     {"codebook_8", &packed.codebook_8},
                                                     {"codebook_4", &packed.codebook_4},
                                                     {"join", &compute.join},
                                                     {"bandwidth", &compute.bandwidth_efficiency},
                                                     {"core_bandwidth", &host.core_bandwidth.value}};
  const auto* const found = std::find_if(std::begin(numbers), std::end(numbers),
                                         [&](const auto& each) { return key == each.first; });
  return found == std::end(numbers) ? compute.compute_efficiency : *found->second;
}

struct Unfitted {
  Unknown unknown;
  std::string unit, meaning, sets;
  std::size_t host = 0;  ///< of `sets` = core_bandwidth: the host that it is of
};

class CpuExperiment final : public Experiment {
 public:
  CpuExperiment(SoftwareSpec::Cpu software, std::vector<CpuHost> hosts, std::vector<DenseModel> models,
                std::vector<Unfitted> constants, std::vector<CpuSeries> series)
      : software_(software),
        hosts_(std::move(hosts)),
        models_(std::move(models)),
        constants_(std::move(constants)),
        series_(std::move(series)) {}

  void evaluate(const DataFolder&, CaseResult& result) const override {
    std::vector<Unknown> unknowns;
    for (const Unfitted& each : constants_) unknowns.push_back(each.unknown);
    const std::vector<double> values =
        least_squares(unknowns, [&](const std::vector<double>& at) {
          std::vector<double> residuals;
          for_each(Role::calibrate, [&](const CpuSeries& series, const Measured& row) {
            residuals.push_back(rate(series, row, at) / row.published - 1);
          });
          return residuals;
        }).values;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Unfitted& each = constants_[i];
      result.constants.push_back(
          {each.unknown.name, each.unit, each.meaning, "rows of the series that are fitted", values[i]});
    }
    for (const Role role : {Role::calibrate, Role::predict})
      for_each(role, [&](const CpuSeries& series, const Measured& row) { add(series, row, values, result); });
  }

  [[nodiscard]] std::vector<EnteredFigure> entered() const override { return {}; }

 private:
  template <typename Each>
  void for_each(Role role, Each&& each) const {
    for (const CpuSeries& series : series_) {
      if (series.role != role) continue;
      for (const Measured& row : series.rows) each(series, row);
    }
  }

  /// Tokens a second: of the head a prompt needs its last token's alone.
  [[nodiscard]] double rate(const CpuSeries& series, const Measured& row,
                            const std::vector<double>& values) const {
    HostSpec host = hosts_[series.host].spec;
    host.rate.value *= static_cast<double>(row.threads) / host.cores;
    host.cores = row.threads;
    host.compute.bandwidth_efficiency = software_.bandwidth;
    host.compute.packed = software_.packed;
    host.compute.join = software_.join;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool is_of_cores = constants_[i].sets == "core_bandwidth";
      if (is_of_cores && constants_[i].host != series.host) continue;
      number_of(host, constants_[i].sets) = is_of_cores ? values[i] * 1e9 : values[i];
    }
    const DenseModel& model = models_[series.model];
    const auto takes = [&](const std::string& format, double bits, double weights, int tokens) {
      const double bytes =
          weights * (bits > 0 ? bits : weight_format(format, "format").bits_per_parameter) / 8;
      return bytes / sim::cpu_products(host, format).flow(bytes, 2 * weights * tokens).value;
    };
    const double seconds = takes(row.format, row.bits, model.layers_weights, row.tokens) +
                           takes(row.head, 0, model.head_weights, 1) +
                           software_.layer.seconds() * model.layers;
    return row.tokens / seconds;
  }

  void add(const CpuSeries& series, const Measured& row, const std::vector<double>& values,
           CaseResult& result) const {
    Row entry;
    entry.series = series.name;
    entry.metric = series.metric;
    entry.subject = hosts_[series.host].name;
    entry.variant = models_[series.model].name + " " + row.format + ", " + std::to_string(row.threads) +
                    (row.threads == 1 ? " thread" : " threads") +
                    (row.tokens > 1 ? ", pp" + std::to_string(row.tokens) : "");
    entry.role = series.role;
    entry.published = row.published;
    entry.predicted = rate(series, row, values);
    entry.x = row.threads;
    result.rows.push_back(entry);
  }

  SoftwareSpec::Cpu software_;  ///< what no constant says is its; `layer` is between a layer's products
  std::vector<CpuHost> hosts_;
  std::vector<DenseModel> models_;
  std::vector<Unfitted> constants_;
  std::vector<CpuSeries> series_;
};

CpuHost read_cpu_host(TableReader& table) {
  CpuHost host;
  host.name = table.text("name");
  read_fields(host_fields(), host.spec, table);
  table.finish();
  check_ranges(host_fields(), host.spec, table.where(), "host.");
  return host;
}

double some_weights(TableReader& table, const char* key) {
  const double weights = table.number(key);
  if (!(weights > 0 && weights < 1e5)) throw InputError(table.where(key), "is no number of weights in 1e9");
  return weights * 1e9;
}

DenseModel read_dense_model(TableReader& table) {
  DenseModel model{table.text("name"), some_weights(table, "weights"), some_weights(table, "head"),
                   static_cast<int>(table.integer("layers", 1, 1000))};
  table.finish();
  return model;
}

Measured read_measured(TableReader& entry, int cores) {
  Measured row;
  row.format = entry.text("format");
  row.head = entry.text("head");
  for (const char* key : {"format", "head"}) std::ignore = weight_format(entry.text(key), entry.where(key));
  if (entry.has("bits")) row.bits = entry.number("bits");
  if (row.bits < 0 || row.bits > 64) throw InputError(entry.where("bits"), "is no number of bits");
  row.threads = static_cast<int>(entry.integer("threads", 1, cores));
  if (entry.has("tokens")) row.tokens = static_cast<int>(entry.integer("tokens", 1, 1 << 20));
  row.published = entry.number("published");
  if (!(row.published > 0 && row.published < 1e9))
    throw InputError(entry.where("published"), "is not a rate");
  entry.finish();
  return row;
}

CpuSeries read_cpu_series(TableReader& table, const std::vector<CpuHost>& hosts,
                          const std::vector<DenseModel>& models) {
  CpuSeries series;
  series.name = table.text("name");
  series.metric = table.text("metric");
  const auto name = [](const auto& each) { return each.name; };
  series.host = known(table, "host", names_of(hosts, name));
  series.model = known(table, "model", names_of(models, name));
  series.role = choice<Role>(table, "role", {{"calibrate", Role::calibrate}, {"predict", Role::predict}});
  for (TableReader& entry : table.tables("rows"))
    series.rows.push_back(read_measured(entry, hosts[series.host].spec.cores));
  if (series.rows.empty()) throw InputError(table.where("rows"), "the series has no rows");
  table.finish();
  return series;
}

Unfitted read_unfitted(TableReader& table, const std::vector<CpuHost>& hosts) {
  const std::vector<std::string> numbers = {"whole",      "blocks", "super_blocks", "codebook_8",
                                            "codebook_4", "join",   "bandwidth",    "core_bandwidth"};
  Unfitted unfitted;
  unfitted.sets = numbers[known(table, "sets", numbers)];
  unfitted.unit = table.text("unit");
  unfitted.meaning = table.text("meaning");
  unfitted.unknown = {table.text("name"), table.number("start"), table.number("least"), table.number("most")};
  if (unfitted.sets == "core_bandwidth")
    unfitted.host = known(table, "host", names_of(hosts, [](const CpuHost& host) { return host.name; }));
  const Unknown& unknown = unfitted.unknown;
  if (!(unknown.least > 0 && unknown.least <= unknown.start && unknown.start <= unknown.most))
    throw InputError(table.where("start"), "must lie between least, which is above 0, and most");
  table.finish();
  return unfitted;
}

}  // namespace

std::unique_ptr<Experiment> read_cpu_case(TableReader& top) {
  const SoftwareSpec software = load_software(top.text("software_name"));
  std::vector<CpuHost> hosts;
  for (TableReader& table : top.tables("host")) hosts.push_back(read_cpu_host(table));
  std::vector<DenseModel> models;
  for (TableReader& table : top.tables("dense_model")) models.push_back(read_dense_model(table));
  std::vector<Unfitted> constants;
  for (TableReader& table : top.tables("constant")) constants.push_back(read_unfitted(table, hosts));
  std::vector<CpuSeries> series;
  for (TableReader& table : top.tables("series")) series.push_back(read_cpu_series(table, hosts, models));
  if (series.empty()) throw InputError(top.where("series"), "the case has no rows");
  return std::make_unique<CpuExperiment>(software.cpu, std::move(hosts), std::move(models),
                                         std::move(constants), std::move(series));
}

}  // namespace pregate::validation
