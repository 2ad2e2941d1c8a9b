// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/catalog.hpp"
#include "validation/published/case.hpp"
#include "validation/published/case_reader.hpp"

namespace pregate::validation {

enum class Routing { forced, recorded, profile };

/// What runs: where the routing comes from, and what of machine and policy it changes.
struct Workload {
  std::string name;
  std::string label;  ///< what tells its rows from others of the model, e.g. "16 active"; may be empty
  Routing routing = Routing::forced;
  std::string file;     ///< recorded: below the data folder
  std::string profile;  ///< a profile of the generator
  int batch = 1, active = 1, requests = 1;
  int encoder_tokens = 256, decode_steps = 256;
  std::vector<Override> set;
};

enum class OffloadMetric { block_latency, tokens_per_s, peak_bytes, hit_rate };

struct OffloadRow {
  std::string series, file, column, note;
  int line = 1;  ///< of the raw file, below its header
  OffloadMetric metric = OffloadMetric::block_latency;
  std::string model, design;
  std::size_t workload = 0;
  double published = 0;
  bool printed_as_zero = false;  ///< 0 is a rounded rate and not a run that did not fit
  std::string fixes;             ///< constant that this row fixes; empty = predicted
};

struct OffloadAggregate {
  enum class Mean { geometric, arithmetic, largest };
  std::string name, figure, of, over;
  std::vector<std::string> models;
  Mean mean = Mean::geometric;
  double paper = 0;
  int digits = 0;
};

/// A case of designs compared on one machine, as its file states it.
struct OffloadSetup {
  std::string machine;
  std::vector<Override> set, memory_set;
  std::vector<Workload> workloads;
  std::vector<Constant> constants;
  std::vector<OffloadRow> rows;
  std::vector<OffloadAggregate> aggregates;
};

const char* metric_name(OffloadMetric metric);

OffloadSetup read_offload_setup(TableReader& top);

}  // namespace pregate::validation
