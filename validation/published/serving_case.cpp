// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Servers that keep so many requests going: TTFT and TPOT by concurrency, each row a run of the continuous
// batcher.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/cost/collectives.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/simulate.hpp"
#include "validation/published/case.hpp"
#include "validation/published/case_reader.hpp"
#include "validation/published/fit.hpp"
#include "validation/published/served_load.hpp"
#include "validation/published/serving_case.hpp"

namespace pregate::validation {

namespace {

/// What the client sends: requests of each place in all, and of these simulated; the shortest of them.
struct Client {
  int waves = 1, simulated_waves = 1;
  double shortest = 1;  ///< of the lengths asked for
};

struct Server {
  std::string name, machine, software, model;
  ModelOptions formats;
  int gpus = 1;                  ///< share every layer
  bool spreads_experts = false;  ///< each has whole experts of its own (expert parallel)
  /// Tokens of prompts that a pass takes beyond a whole prompt, where that is the server's limit; -1: its
  /// software's prompt_chunk.
  int beyond_prompt = -1;
  bool whole_prompts = false;  ///< it cuts none
  Client client;
  std::vector<Override> set;
};

struct ServedRow {
  std::size_t server = 0;
  int input = 1, output = 1, concurrency = 1, raw_row = 0;
  double ttft_ms = 0, tpot_ms = 0;
  std::string series;
  std::string fixes, fixes_by_ttft;  ///< constants, by its TPOT and by its TTFT
  std::string not_gated;             ///< why it counts for no gate; empty: it does
};

struct ServingSetup {
  std::string file;
  std::vector<Server> servers;
  std::vector<Constant> constants;
  std::vector<ServedRow> rows;
};

double read_shortest(TableReader& table) {
  const double shortest = table.number("shortest");
  if (!(shortest > 0 && shortest <= 1))
    throw InputError(table.where("shortest"), "must be above 0 and at most 1");
  return shortest;
}

/// `usual`: the case's client, which a server may have another than.
Server read_server(TableReader& table, const Client& usual) {
  Server server;
  server.client = usual;
  if (table.has("waves"))
    server.client.waves = static_cast<int>(table.integer("waves", usual.simulated_waves, 1000));
  if (table.has("shortest")) server.client.shortest = read_shortest(table);
  if (table.has("beyond_prompt"))
    server.beyond_prompt = static_cast<int>(table.integer("beyond_prompt", 0, 1 << 17));
  server.whole_prompts = table.boolean_or("whole_prompts", false);
  server.name = table.text("name");
  server.machine = machine_names()[known(table, "machine", machine_names())];
  server.software = software_names()[known(table, "software", software_names())];
  server.model = model_names()[known(table, "model", model_names())];
  server.formats = {table.text_or("weights", ""), table.text_or("dense_weights", "")};
  server.gpus = static_cast<int>(table.integer("gpus", 1, most_gpus));
  if (table.has("expert_parallel")) {
    server.spreads_experts = true;
    if (table.integer("expert_parallel", 2, server.gpus) != server.gpus)
      throw InputError(table.where("expert_parallel"), "is not the number of GPUs");
  }
  server.set = read_overrides(table);
  table.finish();
  return server;
}

ServedRow read_row(TableReader& table, const ServingSetup& setup) {
  ServedRow row;
  row.server = known(table, "server", names_of(setup.servers, [](const Server& each) { return each.name; }));
  row.series = setup.servers[row.server].name;
  row.input = static_cast<int>(table.integer("input", 1, 1 << 17));
  row.output = static_cast<int>(table.integer("output", 2, 1 << 17));
  row.concurrency = static_cast<int>(table.integer("concurrency", 1, 1024));
  row.raw_row = static_cast<int>(table.integer("raw_row", 1, 1'000'000));
  row.ttft_ms = table.number("ttft_ms");
  row.tpot_ms = table.number("tpot_ms");
  for (const double ms : {row.ttft_ms, row.tpot_ms}) {
    if (!(ms > 0 && ms < 1e9)) throw InputError(table.where("ttft_ms"), "is not a time");
  }
  row.not_gated = table.text_or("not_gated", "");
  const auto constant_of = [&](const char* key) {
    std::string name = table.text_or(key, "");
    if (!name.empty()) {
      std::ignore = known(table, key,
                          names_of(setup.constants, [](const Constant& each) { return each.unknown.name; }));
    }
    return name;
  };
  row.fixes = constant_of("fixes");
  row.fixes_by_ttft = constant_of("fixes_by_ttft");
  table.finish();
  return row;
}

ServingSetup read_setup(TableReader& top) {
  ServingSetup setup;
  setup.file = top.text("file");
  Client client;
  client.waves = static_cast<int>(top.integer("waves", 2, 1000));
  client.simulated_waves = static_cast<int>(top.integer("simulated_waves", 2, client.waves));
  client.shortest = read_shortest(top);
  for (TableReader& table : top.tables("server")) setup.servers.push_back(read_server(table, client));
  const auto servers = names_of(setup.servers, [](const Server& each) { return each.name; });
  for (TableReader& table : top.tables("constant")) setup.constants.push_back(read_constant(table, servers));
  for (TableReader& table : top.tables("row")) setup.rows.push_back(read_row(table, setup));
  if (setup.rows.empty()) throw InputError(top.where("row"), "the case has no rows");
  for (const ServedRow& row : setup.rows) {
    constexpr std::int64_t most_tokens = 20'000'000;
    if (std::int64_t{row.concurrency} * (row.input + row.output) * client.simulated_waves > most_tokens) {
      throw InputError(top.where("row"), "a row serves more than " + std::to_string(most_tokens) + " tokens",
                       "fewer simulated_waves, shorter requests or a lower concurrency");
    }
  }
  for (const Constant& constant : setup.constants) {
    std::ptrdiff_t fixing = 0;
    for (const ServedRow& row : setup.rows)
      fixing += (row.fixes == constant.unknown.name) + (row.fixes_by_ttft == constant.unknown.name);
    if (fixing != 1) refuse_constant(top, constant, fixing);
    for (const Constant::Target& target : constant.targets) {
      if (target.path.starts_with("model."))  // pools of routing are made once for each server
        throw InputError(top.where("constant"), constant.unknown.name + " sets " + target.path,
                         "a served case fits its machine and software");
    }
  }
  return setup;
}

struct Times {
  double ttft_ms = 0, tpot_ms = 0;
};

/// Means over a client's requests, of which it sends the first `places` at once and each later one when one
/// ends. Of its waves the first is unlike the others and counts 1 in `waves`; those after it are the mean of
/// what was simulated of them.
Times client_times(const std::vector<sim::RequestRecord>& records, std::size_t places, int waves) {
  std::vector<Picoseconds> ends;
  ends.reserve(records.size());
  for (const sim::RequestRecord& record : records) ends.push_back(record.end);
  std::sort(ends.begin(), ends.end());
  Times first, later;
  for (std::size_t i = 0; i < records.size(); ++i) {
    Times& wave = i < places ? first : later;
    const Picoseconds sent = i < places ? Picoseconds{} : ends[i - places];
    wave.ttft_ms += (records[i].first_token + records[i].late - sent).milliseconds();
    wave.tpot_ms += records[i].tpot_ms();
  }
  const auto mean = [&](double of_first, double of_later) {
    const double share = 1.0 / waves, others = static_cast<double>(records.size() - places);
    return share * of_first / static_cast<double>(places) + (1 - share) * of_later / others;
  };
  return {mean(first.ttft_ms, later.ttft_ms), mean(first.tpot_ms, later.tpot_ms)};
}

class ServingExperiment final : public Experiment {
 public:
  explicit ServingExperiment(ServingSetup setup) : setup_(std::move(setup)) {}

  /// Without any constant, of several GPUs.
  [[nodiscard]] std::vector<ServedRate> rates(std::size_t every) const {
    std::vector<ServedRate> all;
    std::size_t at = 0;
    for (const ServedRow& row : setup_.rows) {
      if (!row.fixes.empty() || !row.fixes_by_ttft.empty() || !row.not_gated.empty()) continue;
      const Server& server = setup_.servers[row.server];
      if (server.gpus == 1 || at++ % every != 0) continue;
      const Times times = simulated(row, {});
      all.push_back({.row = row.series + ", " + subject_of(row),
                     .machine = server.machine,
                     .software = server.software,
                     .model = server.model,
                     .concurrency = row.concurrency,
                     .percent = 100 * (row.tpot_ms / times.tpot_ms - 1)});
    }
    return all;
  }

  void evaluate(const DataFolder&, CaseResult& result) const override {
    const std::vector<double> values = calibrate();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Constant& constant = setup_.constants[i];
      FittedConstant fitted{constant.unknown.name, constant.unit, constant.meaning, "", values[i]};
      for (const ServedRow& row : setup_.rows) {
        if (row.fixes == fitted.name || row.fixes_by_ttft == fitted.name) {
          fitted.fixed_by = row.series + ", " + subject_of(row) +
                            (row.fixes_by_ttft == fitted.name ? ", to its first token" : "");
        }
      }
      result.constants.push_back(fitted);
    }
    std::vector<Times> times;
    times.reserve(setup_.rows.size());
    for (const ServedRow& row : setup_.rows) times.push_back(simulated(row, values));
    add_rows("tpot_ms", times, result);
    add_rows("ttft_ms", times, result);
  }

  [[nodiscard]] std::vector<EnteredFigure> entered() const override {
    std::vector<EnteredFigure> figures;
    for (const ServedRow& row : setup_.rows) {
      figures.push_back({setup_.file, {{{}, row.raw_row, "silicon_ttft_ms"}}, row.ttft_ms});
      figures.push_back({setup_.file, {{{}, row.raw_row, "silicon_tpot_ms"}}, row.tpot_ms});
      figures.push_back({setup_.file, {{{}, row.raw_row, "isl"}}, static_cast<double>(row.input)});
      figures.push_back({setup_.file, {{{}, row.raw_row, "osl"}}, static_cast<double>(row.output)});
      figures.push_back(
          {setup_.file, {{{}, row.raw_row, "concurrency"}}, static_cast<double>(row.concurrency)});
      const Server& server = setup_.servers[row.server];
      figures.push_back({setup_.file,
                         {{{}, row.raw_row, "moe_ep_size"}},
                         static_cast<double>(server.spreads_experts ? server.gpus : 1)});
      figures.push_back({setup_.file, {{{}, row.raw_row, "tp_size"}}, static_cast<double>(server.gpus)});
    }
    return figures;
  }

 private:
  static std::string subject_of(const ServedRow& row) {
    return std::to_string(row.input) + " in, " + std::to_string(row.output) + " out, " +
           std::to_string(row.concurrency) + " at a time";
  }

  void add_rows(const std::string& metric, const std::vector<Times>& times, CaseResult& result) const {
    for (std::size_t i = 0; i < setup_.rows.size(); ++i) {
      const ServedRow& from = setup_.rows[i];
      const bool is_tpot = metric == "tpot_ms";
      Row row;
      row.series = row.group = from.series;
      row.metric = metric;
      row.subject = subject_of(from);
      row.published = is_tpot ? from.tpot_ms : from.ttft_ms;
      row.predicted = is_tpot ? times[i].tpot_ms : times[i].ttft_ms;
      row.gated = from.not_gated.empty();
      row.note = from.not_gated;
      const std::string& fixes = is_tpot ? from.fixes : from.fixes_by_ttft;
      if (!fixes.empty()) {
        row.role = Role::calibrate;
        constexpr double met = 0.1;  // per cent
        row.note = "fixes " + fixes + (std::abs(row.error()) > met ? ", which no value does" : "");
      }
      result.rows.push_back(row);
    }
  }

  [[nodiscard]] std::vector<double> calibrate() const {
    if (setup_.constants.empty()) return {};
    std::vector<Unknown> unknowns;
    for (const Constant& constant : setup_.constants) unknowns.push_back(constant.unknown);
    return least_squares(unknowns,
                         [&](const std::vector<double>& values) {
                           std::vector<double> residuals;
                           for (const ServedRow& row : setup_.rows) {
                             if (row.fixes.empty() && row.fixes_by_ttft.empty()) continue;
                             const Times times = simulated(row, values);
                             if (!row.fixes.empty()) residuals.push_back(times.tpot_ms / row.tpot_ms - 1);
                             if (!row.fixes_by_ttft.empty())
                               residuals.push_back(times.ttft_ms / row.ttft_ms - 1);
                           }
                           return residuals;
                         })
        .values;
  }

  [[nodiscard]] Times simulated(const ServedRow& row, const std::vector<double>& values) const {
    const Server& server = setup_.servers[row.server];
    std::vector<Override> set = server.set;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Constant& constant = setup_.constants[i];
      const auto& on = constant.systems;
      if (!on.empty() && std::find(on.begin(), on.end(), server.name) == on.end()) continue;
      for (const Constant::Target& target : constant.targets) {
        char text[64];
        std::snprintf(text, sizeof text, "%.9g", values[i] * target.factor);
        set.push_back({target.path, constant.unit.empty() ? text : text + (" " + constant.unit)});
      }
    }
    const ModelSpec model = load_model(server.model, server.formats, set);
    const MachineSpec machine = load_machine(server.machine, set, {}, server.software);
    const SoftwareSpec software = load_software(server.software, set);
    const std::vector<Override> serve{{"serve.batcher", "continuous"},
                                      {"serve.max_batch", std::to_string(row.concurrency)},
                                      {"serve.prompts", "beside"},
                                      {"serve.whole_prompts", server.whole_prompts ? "true" : "false"}};
    sim::SimulationOptions options;
    options.serving = sim::load_serving(serve);
    const int chunk = server.beyond_prompt >= 0 ? row.input + server.beyond_prompt : software.prompt_chunk;
    if (chunk > 0) options.prompt_chunk = options.serving.prompt_chunk = chunk;
    options.parallel.tensor = server.gpus;
    if (server.spreads_experts) options.parallel.experts = sim::ExpertShare::whole;
    options.keeps_requests = true;
    const auto load =
        served_load(pool_of(row.server, model), {.requests = row.concurrency * server.client.simulated_waves,
                                                 .input = row.input,
                                                 .output = row.output,
                                                 .shortest = server.client.shortest});
    const sim::PreparedTrace prepared(*load, model, server.name, options.serving);
    const sim::SimulationResult result =
        sim::simulate(model, machine, load_policy("gpu-only"), prepared, *load, options);
    if (result.out_of_memory) throw InputError(server.name, result.out_of_memory_reason);
    return client_times(result.request_records, static_cast<std::size_t>(row.concurrency),
                        server.client.waves);
  }

  /// Whatever constants are tried, a server's model is routed alike: they are none of the model's.
  std::shared_ptr<const ServedPool> pool_of(std::size_t server, const ModelSpec& model) const {
    std::shared_ptr<const ServedPool>& pool = pools_[server];
    if (!pool) pool = served_pool(model);
    return pool;
  }

  ServingSetup setup_;
  mutable std::map<std::size_t, std::shared_ptr<const ServedPool>> pools_;  ///< by server
};

}  // namespace

std::vector<ServedRate> predict_served_rates(TableReader& top, std::size_t every) {
  return ServingExperiment(read_setup(top)).rates(every);
}

std::unique_ptr<Experiment> read_serving_case(TableReader& top) {
  return std::make_unique<ServingExperiment>(read_setup(top));
}

}  // namespace pregate::validation
