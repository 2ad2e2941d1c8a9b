// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/error.hpp"
#include "traces/synthetic.hpp"
#include "validation/system_setup.hpp"

namespace pregate::validation {

namespace {

std::vector<Override> read_overrides(TableReader& table) {
  std::vector<Override> overrides;
  for (const std::string& text : read_texts(table, "set")) {
    try {
      overrides.push_back(parse_override(text));
    } catch (const InputError& error) {
      throw InputError(table.where("set"), error.what());
    }
  }
  return overrides;
}

/// Index of the name under `key` among `valid`.
std::size_t known(TableReader& table, const char* key, const std::vector<std::string>& valid) {
  const std::string name = table.text(key);
  const auto found = std::find(valid.begin(), valid.end(), name);
  if (found == valid.end())
    throw InputError(table.where(key), "'" + printable(name) + "' is not known", suggest(name, valid));
  return static_cast<std::size_t>(found - valid.begin());
}

template <class T, class Name>
std::vector<std::string> names_of(const std::vector<T>& items, Name&& name) {
  std::vector<std::string> names;
  names.reserve(items.size());
  for (const T& item : items) names.push_back(name(item));
  return names;
}

System read_system(TableReader& table) {
  System system;
  system.name = table.text("name");
  system.machine = machine_names()[known(table, "machine", machine_names())];
  system.set = read_overrides(table);
  table.finish();
  return system;
}

ModelRun read_run(TableReader& table) {
  ModelRun run;
  run.name = table.text("name");
  run.model = model_names()[known(table, "model", model_names())];
  run.set = read_overrides(table);
  if (table.has("profile")) {
    run.profile = trace::profile_names()[known(table, "profile", trace::profile_names())];
    run.requests = static_cast<int>(table.integer_or("requests", 1, 100, 1));
  } else {
    run.active = static_cast<int>(table.integer("active", 1, 4096));
    run.decode_steps = static_cast<int>(table.integer_or("decode_steps", 1, 65'536, 128));
  }
  table.finish();
  return run;
}

SystemConstant read_constant(TableReader& table, const std::vector<std::string>& systems) {
  SystemConstant constant;
  constant.unknown = {table.text("name"), table.number("start"), table.number("least"), table.number("most")};
  constant.unit = table.text("unit");
  constant.meaning = table.text("meaning");
  const Unknown& unknown = constant.unknown;
  if (!(unknown.least < unknown.most && unknown.least <= unknown.start && unknown.start <= unknown.most))
    throw InputError(table.where("start"), "least, start and most are not in order");
  constant.systems = read_texts(table, "systems");
  for (const std::string& name : constant.systems) {
    if (std::find(systems.begin(), systems.end(), name) == systems.end())
      throw InputError(table.where("systems"), "'" + printable(name) + "' is not known",
                       suggest(name, systems));
  }
  for (TableReader& target : table.tables("sets")) {
    const double factor = target.number("factor");
    if (!(factor > 0 && factor <= 1e6)) throw InputError(target.where("factor"), "must be above 0");
    constant.targets.push_back({target.text("path"), factor});
    target.finish();
  }
  if (constant.targets.empty()) throw InputError(table.where("sets"), "the constant sets nothing");
  table.finish();
  return constant;
}

SystemRow read_row(TableReader& table, const SystemSetup& setup, const std::vector<std::string>& metrics) {
  SystemRow row;
  const auto systems = names_of(setup.systems, [](const System& item) { return item.name; });
  row.system = known(table, "system", systems);
  row.run = known(table, "run", names_of(setup.runs, [](const ModelRun& item) { return item.name; }));
  row.policy = policy_names()[known(table, "policy", policy_names())];
  row.set = read_overrides(table);
  row.row.series = table.text("series");
  row.row.metric = metrics[known(table, "metric", metrics)];
  row.row.group = row.row.subject = systems[row.system];
  row.row.variant = table.text("variant");
  row.row.published = table.number("published");
  if (!(row.row.published > 0 && row.row.published < 1e9))
    throw InputError(table.where("published"), "is not a rate");
  row.row.note = table.text_or("note", "");
  row.fixes = table.text_or("fixes", "");
  if (!row.fixes.empty()) {
    const auto constants =
        names_of(setup.constants, [](const SystemConstant& item) { return item.unknown.name; });
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
  for (const SystemConstant& constant : setup.constants) {
    const auto rows = std::count_if(setup.rows.begin(), setup.rows.end(),
                                    [&](const SystemRow& row) { return row.fixes == constant.unknown.name; });
    if (rows != 1) {
      throw InputError(top.where("constant"), "the constant '" + printable(constant.unknown.name) +
                                                  "' is fixed by " + std::to_string(rows) + " rows, not one");
    }
  }
  return setup;
}

}  // namespace pregate::validation
