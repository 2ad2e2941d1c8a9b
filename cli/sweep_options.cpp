// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/sweep_inputs.hpp"

namespace pregate::cli {

po::options_description sweep_options() {
  po::options_description options = scenario_options();
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()  //
      ("policy", text()->default_value("gpu-only,on-demand,prefetch-all,pre-gated"),
       "policies, comma-separated; so are --model, --trace, --machine, --seed, --gpus, --tp, --pp, --ep, "
       "--dp")  //
      ("vary", po::value<std::vector<std::string>>()->composing(),
       "a key of --set: KEY=LO..HIunit:N, :Nlog for logarithmic steps, or KEY=a,b,c; repeatable")       //
      ("sample", text(), "grid, lhs:N (Latin hypercube) or sobol:N of the varied keys (default grid)")  //
      ("sample-seed", text(), "seed of a Latin hypercube (default 1)")                                  //
      ("plan", text(), "read options from this .toml (docs/sweep.md)")                                  //
      ("database,o", text(), "SQLite database of the results; goes on where it was left")               //
      ("csv", text(), "write all points as CSV to this file at the end; - is standard output")          //
      ("json-lines", text(), "write all points as JSON, one a line; - is standard output")              //
      ("json", text(), "write what the sweep comes to as JSON to this file; - is standard output")      //
      ("report", text(), "write a page with it to this .html")                                          //
      ("threads", text(), "points at once (default: the machine's cores)")                              //
      ("yes", po::bool_switch(), "run however many points there are");
  return options;
}

}  // namespace pregate::cli
