// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/options.hpp"

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <string_view>

namespace pregate::standin {
namespace {

[[noreturn]] void refuse(std::string_view variable) {
  const std::string text(variable);
  std::fprintf(stderr, "standin: %s: unknown variable or value\n", text.c_str());
  _exit(98);
}

template <class T>
bool number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool rate(std::string_view text, double scale, double& value) {
  double read = 0;
  if (!number(text, read) || !(read >= 0) || (scale != 1 && read == 0)) return false;
  value = read * scale;
  return true;
}

bool schedule(std::string_view text, Schedule& value) {
  if (text == "eager")
    value = Schedule::eager;
  else if (text == "lazy")
    value = Schedule::lazy;
  else if (text == "random")
    value = Schedule::random;
  else if (text == "threads")
    value = Schedule::threads;
  else
    return false;
  return true;
}

bool flag(std::string_view text, bool& value) {
  value = text == "1";
  return text == "0" || text == "1";
}

bool assign(Options& options, std::string_view name, std::string_view text) {
  if (name == "SCHEDULE") return schedule(text, options.schedule);
  if (name == "SEED") return number(text, options.seed);
  if (name == "GRID_RACES") return flag(text, options.check_grid_races);
  if (name == "FAIL") return options.fail = text, true;
  if (name == "CALLS") return options.calls = text, true;
  if (name == "TIMELINE") return options.timeline = text, true;
  if (name == "H2D_GBPS") return rate(text, 1e9, options.rates.host_to_device);
  if (name == "D2H_GBPS") return rate(text, 1e9, options.rates.device_to_host);
  if (name == "D2D_GBPS") return rate(text, 1e9, options.rates.device_to_device);
  if (name == "P2P_GBPS") return rate(text, 1e9, options.rates.peer);
  if (name == "DEVICES")
    return number(text, options.devices) && options.devices >= 1 && options.devices <= most_devices;
  if (name == "GEMM_GFLOPS") return rate(text, 1e9, options.rates.gemm);
  if (name == "COPY_US") return rate(text, 1, options.rates.copy_latency_us);
  if (name == "KERNEL_US") return rate(text, 1, options.rates.kernel_us);
  if (name == "CALL_US") return rate(text, 1, options.rates.call_us);
  if (name != "MEMORY_MIB") return false;
  std::size_t mebibytes = 0;
  if (!number(text, mebibytes) || mebibytes > (std::size_t{1} << 16)) return false;
  options.memory_bytes = mebibytes << 20;
  return true;
}

}  // namespace

Options read_options() {
  Options options;
  constexpr std::string_view prefix = "STANDIN_";
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    if (!variable.starts_with(prefix)) continue;
    const std::size_t equals = variable.find('=');
    const std::string_view name = variable.substr(prefix.size(), equals - prefix.size());
    if (!assign(options, name, variable.substr(equals + 1))) refuse(variable);
  }
  return options;
}

}  // namespace pregate::standin
