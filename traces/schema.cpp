// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "traces/database.hpp"

namespace pregate::trace {

std::span<const std::string_view> schema_statements() {
  static constexpr std::array<std::string_view, 6> statements = {
      "CREATE TABLE trace (id INTEGER PRIMARY KEY CHECK (id = 1), model TEXT NOT NULL, "
      "model_top_k INTEGER NOT NULL, has_weights INTEGER NOT NULL, has_predictions INTEGER NOT NULL, "
      "prediction_distance INTEGER NOT NULL, content_hash TEXT NOT NULL, requests INTEGER NOT NULL, "
      "steps INTEGER NOT NULL, tokens INTEGER NOT NULL, routed_entries INTEGER NOT NULL) STRICT",
      "CREATE TABLE provenance (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
      "CREATE TABLE stack (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
      "CREATE TABLE layer (id INTEGER PRIMARY KEY, stack INTEGER NOT NULL, layer INTEGER NOT NULL, "
      "experts INTEGER NOT NULL, top_k INTEGER NOT NULL, expert_bytes INTEGER NOT NULL) STRICT",
      "CREATE TABLE request (id INTEGER PRIMARY KEY, label TEXT NOT NULL, sequences INTEGER NOT NULL) STRICT",
      "CREATE TABLE step (id INTEGER PRIMARY KEY, request INTEGER NOT NULL, step INTEGER NOT NULL, "
      "phase INTEGER NOT NULL, stack INTEGER NOT NULL, sequences INTEGER NOT NULL, tokens INTEGER NOT NULL, "
      "position INTEGER NOT NULL, experts BLOB NOT NULL, predicted BLOB, weights BLOB) STRICT",
  };
  return statements;
}

std::span<const std::string_view> optional_statements() {
  static constexpr std::array<std::string_view, 3> statements = {
      "CREATE TABLE arrival (request INTEGER PRIMARY KEY, ns INTEGER NOT NULL) STRICT",
      "CREATE TABLE accepted (step INTEGER PRIMARY KEY, tokens INTEGER NOT NULL) STRICT",
      "CREATE TABLE prediction (distance INTEGER PRIMARY KEY, predictor TEXT NOT NULL) STRICT",
  };
  return statements;
}

}  // namespace pregate::trace
