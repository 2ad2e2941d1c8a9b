// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <exception>
#include <new>
#include <string>

#include "cli/command.hpp"
#include "cli/ranks.hpp"
#ifdef PREGATE_WITH_MPI
#include "cli/mpi_ranks.hpp"
#endif
#include "cli/terminal.hpp"
#include "models/error.hpp"
#include "runtime/device_error.hpp"

namespace {

using pregate::cli::Arguments;

pregate::cli::ExitCode print_version(const Arguments&) {
  pregate::cli::print("pregate " PREGATE_VERSION "\n");
  return 0;
}

#ifdef PREGATE_WITH_MPI
constexpr pregate::cli::JoinRanks join_ranks = &pregate::cli::join_mpi_ranks;
#else
constexpr pregate::cli::JoinRanks join_ranks = &pregate::cli::refuse_ranks;
#endif

pregate::cli::ExitCode sweep_in_ranks(const Arguments& arguments) {
  return pregate::cli::sweep_with(arguments, join_ranks);
}

pregate::cli::ExitCode run(const Arguments& arguments) {
  using namespace pregate::cli;
  if (!arguments.empty() && arguments[0] == "--version") return print_version(arguments);
  return dispatch(
      "pregate",
      "pregate simulates Mixture-of-Experts offloading: how fast a model runs on a machine when its experts\n"
      "do not all fit in GPU memory, under which policy, and why.",
      {{"compare", "several policies on one trace, model and machine, side by side", compare},
       {"simulate", "one policy in detail; timeline and schedule on request", simulate},
       {"advise", "what to run on a machine and how, and what an upgrade would bring", advise},
       {"sweep", "many machines, settings and policies into a database: what if", sweep_in_ranks},
       {"list", "models, machines, policies and their parts", list},
       {"model", "what was understood of a model: parameters, layers, cache, formats", model},
       {"trace", "import, inspect, generate, replay routing traces", trace},
       {"place", "which GPU each expert lives on under expert parallelism", place},
       {"execute", "run policies for real, on a GPU or on this computer, and measure", execute},
       {"calibrate", "measure this machine into a machine file", calibrate},
       {"validate", "hold the simulator against a device, or against published measurements", validate},
       {"analyze", "critical path and slack of an exported schedule", analyze},
       {"version", "print the version", print_version}},
      arguments);
}

}  // namespace

int main(int argc, char** argv) {
  // A file that grows past the limit of `ulimit -f` is a write error, not a signal.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return run({argv + 1, argv + argc});
  } catch (const pregate::InputError& error) {
    pregate::cli::show_error(error.what());
  } catch (const pregate::runtime::DeviceError& error) {
    pregate::cli::show_error(error.what());
  } catch (const std::bad_alloc&) {
    pregate::cli::show_error("not enough memory on this machine");
  } catch (const std::exception& error) {
    pregate::cli::show_error(
        std::string(error.what()) +
        "\n       hint: this is a fault in pregate, not in your input; please report it");
  }
  return 2;
}
