// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/locality.hpp"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/catalog.hpp"
#include "models/document.hpp"
#include "models/error.hpp"
#include "models/table_reader.hpp"
#include "traces/text_output.hpp"
#include "traces/utf8.hpp"

namespace pregate::trace {

namespace {

constexpr Bytes max_locality_text{std::int64_t{1} << 16};

double share(TableReader& table, const char* key) {
  const double value = table.number(key);
  if (!std::isfinite(value) || value < 0 || value > 1)
    throw InputError(table.where(key), std::string(key) + " is " + std::to_string(value),
                     "a number from 0 (chance) to 1 belongs there");
  return value;
}

std::string four_decimals(double value) {
  std::string text;
  append_number(text, std::round(value * 1e4) / 1e4);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

}  // namespace

double excess_over_chance(double overlap, const TraceLayer& layer) {
  const double chance = static_cast<double>(layer.top_k) / layer.experts;
  return chance < 1 ? (overlap - chance) / (1 - chance) : 0;
}

Locality parse_locality(std::string_view toml, const std::string& where) {
  const Node root = parse_toml_document(toml, where);
  TableReader table(root, "");
  Locality locality;
  locality.name = table.text("name");
  locality.source = table.text("source");
  locality.lag1_excess = share(table, "lag1_excess");
  locality.distant_excess = share(table, "distant_excess");
  locality.cross_layer = share(table, "cross_layer");
  locality.popularity_shift = share(table, "popularity_shift");
  if (locality.distant_excess > locality.lag1_excess)
    throw InputError(table.where("distant_excess"), "is above lag1_excess",
                     "popular experts repeat at any distance, so the token before shares at least as many");
  table.finish();
  return locality;
}

std::string to_toml(const Locality& locality) {
  const auto quoted = [](const std::string& text) { return nlohmann::json(as_utf8(text)).dump(); };
  return "# How local a routing is, whatever the model; docs/traces.md says what the numbers mean.\nname = " +
         quoted(locality.name) + "\nsource = " + quoted(locality.source) +
         "\nlag1_excess = " + four_decimals(locality.lag1_excess) +
         "\ndistant_excess = " + four_decimals(locality.distant_excess) +
         "\ncross_layer = " + four_decimals(locality.cross_layer) +
         "\npopularity_shift = " + four_decimals(locality.popularity_shift) + "\n";
}

std::vector<std::string> locality_names() {
  // By rank, not by alphabet.
  return {"low", "typical", "high"};
}

Locality load_locality(const std::string& name_or_path) {
  for (const EmbeddedFile& file : embedded_localities())
    if (file.name == name_or_path) return parse_locality(file.text, name_or_path + ".toml");
  if (!std::filesystem::exists(name_or_path))
    throw InputError("--locality", "no locality and no file named '" + printable(name_or_path) + "'",
                     suggest(name_or_path, locality_names()));
  return parse_locality(read_text_file(name_or_path, max_locality_text), name_or_path);
}

}  // namespace pregate::trace
