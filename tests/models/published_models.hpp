// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What authors say of the size of their models, and where. Configurations are those fields of the public
// config.json that matter; a row may name a file of the shared configurations instead.
#pragma once

#include <string>
#include <vector>

namespace pregate::test {

/// Which embedding tables the authors' count of active parameters holds.
enum class Tables { both, output, none };

struct PublishedModel {
  std::string name;
  std::string config;  ///< text of a config.json, or the name of a shared file (ends in .json)
  double total = 0;
  /// Parameters that `total` holds and a run of the text model does not use (vision encoder, prediction
  /// layers).
  double apart = 0;
  double active = 0;
  Tables tables = Tables::both;
  std::string source;
  /// Of the last digit that the authors state, where the figure has one or two ("A3B"): no closer than half
  /// of it can be asked for.
  double total_unit = 0, active_unit = 0;
  /// `total` is the number of elements in the checkpoint's tensors.
  bool exact = false;
};

/// "a,b" n times, and so on: the inside of a JSON list.
inline std::string repeated(const std::string& items, int times, const std::string& end = "") {
  std::string list = items;
  for (int i = 1; i < times; ++i) list += "," + items;
  return end.empty() ? list : list + "," + end;
}

std::vector<PublishedModel> published_models_with_recent_attention();

}  // namespace pregate::test
