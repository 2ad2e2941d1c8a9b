// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/system_setup.hpp"

#include "models/error.hpp"
#include "traces/locality.hpp"
#include "traces/synthetic.hpp"

namespace pregate::validation {

namespace {

System read_system(TableReader& table) {
  System system;
  system.name = table.text("name");
  system.machine = name_or_path(table, "machine", machine_names());
  if (table.has("host")) system.host = name_or_path(table, "host", host_names());
  if (table.has("software")) system.software = name_or_path(table, "software", software_names());
  system.set = read_overrides(table);
  table.finish();
  return system;
}

ModelRun read_run(TableReader& table) {
  ModelRun run;
  run.name = table.text("name");
  run.model = name_or_path(table, "model", model_names());
  run.weights = table.text_or("weights", "");
  run.dense_weights = table.text_or("dense_weights", run.weights);
  run.set = read_overrides(table);
  if (table.has("profile")) {
    run.profile = name_or_path(table, "profile", trace::profile_names());
    run.requests = static_cast<int>(table.integer_or("requests", 1, 100, 1));
  } else {
    run.decode_steps = static_cast<int>(table.integer_or("decode_steps", 1, 65'536, 128));
    run.batch = static_cast<int>(table.integer_or("batch", 1, 4096, 1));
    if (table.has("locality")) {
      run.locality = name_or_path(table, "locality", trace::locality_names());
      run.prompt = static_cast<int>(table.integer("prompt", 1, 1'000'000));
    } else {
      run.active = static_cast<int>(table.integer("active", 1, 4096));
    }
  }
  if (table.has("best_share")) {
    run.best_share = table.number("best_share");
    if (!(run.best_share > 0 && run.best_share < 1))
      throw InputError(table.where("best_share"), "is not between 0 and 1");
  }
  table.finish();
  return run;
}

SystemRow read_row(TableReader& table, const SystemSetup& setup, const std::vector<std::string>& metrics) {
  SystemRow row;
  const auto systems = names_of(setup.systems, [](const System& item) { return item.name; });
  row.system = known(table, "system", systems);
  row.run = known(table, "run", names_of(setup.runs, [](const ModelRun& item) { return item.name; }));
  row.policy = name_or_path(table, "policy", policy_names());
  row.set = read_overrides(table);
  row.row.series = table.text("series");
  row.row.metric = metrics[known(table, "metric", metrics)];
  row.row.group = row.row.subject = systems[row.system];
  row.row.variant = table.text("variant");
  row.row.published = table.number("published");
  if (!(row.row.published > 0 && row.row.published < 1e9))
    throw InputError(table.where("published"), "is not a rate");
  row.row.note = table.text_or("note", "");
  row.quantity = table.choice_or<RowQuantity>(
      "quantity",
      {{"decode", RowQuantity::decode}, {"prompt", RowQuantity::prompt}, {"request", RowQuantity::request}},
      RowQuantity::decode);
  row.prompt_chunk = static_cast<int>(table.integer_or("prompt_chunk", 1, 1'000'000, 0));
  if (row.quantity != RowQuantity::decode && setup.runs[row.run].prompt == 0) {
    throw InputError(table.where("quantity"), "the run has no prompt",
                     "give its [[run]] a locality and a prompt");
  }
  if (const std::string fixed = table.text_or("calibrated", ""); !fixed.empty()) {
    row.row.role = Role::calibrate;
    row.row.note = "has fixed " + fixed;
  }
  if (const std::string why = table.text_or("not_gated", ""); !why.empty()) {
    row.row.gated = false;
    row.row.note = why;
  }
  row.fixes = table.text_or("fixes", "");
  if (!row.fixes.empty()) {
    const auto constants = names_of(setup.constants, [](const Constant& item) { return item.unknown.name; });
    row.fixes = constants[known(table, "fixes", constants)];
    row.row.role = Role::calibrate;
    row.row.note = "fixes " + row.fixes;
  }
  table.finish();
  return row;
}

std::vector<std::string> metric_names(TableReader& top) {
  std::vector<std::string> names;
  if (const Node* metrics = top.find("metrics")) {
    for (const Member& member : metrics->members) names.push_back(member.key);
  }
  return names;
}

}  // namespace

SystemSetup read_system_setup(TableReader& top) {
  SystemSetup setup;
  const std::vector<std::string> metrics = metric_names(top);
  for (TableReader& table : top.tables("system")) setup.systems.push_back(read_system(table));
  for (TableReader& table : top.tables("run")) setup.runs.push_back(read_run(table));
  const auto systems = names_of(setup.systems, [](const System& item) { return item.name; });
  for (TableReader& table : top.tables("constant")) setup.constants.push_back(read_constant(table, systems));
  for (TableReader& table : top.tables("row")) setup.rows.push_back(read_row(table, setup, metrics));
  if (setup.rows.empty()) throw InputError(top.where("row"), "the case has no rows");
  check_fixed_once(top, setup.constants, setup.rows);
  return setup;
}

}  // namespace pregate::validation
