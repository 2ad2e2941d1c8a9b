// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/runtime.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <driver_types.h>

namespace pregate::standin {
namespace {

thread_local cudaError_t t_last_error = cudaSuccess;
thread_local int t_device = 0;

void look_over() {
  Runtime& device = runtime();
  const std::string leaks = device.memory.leaks();
  if (!leaks.empty()) device.reports.add("leak", leaks);
  if (!device.engine.is_stopped()) {
    const std::string unfinished = device.engine.unfinished();
    if (!unfinished.empty()) device.reports.add("unfinished", unfinished);
  }
  const Options& options = device.options;
  if (!options.timeline.empty() && !device.engine.timeline().write(options.timeline)) {
    device.reports.add("output", "cannot write " + options.timeline);
  }
  if (!options.calls.empty() && !device.failures.write(options.calls)) {
    device.reports.add("output", "cannot write " + options.calls);
  }
  if (device.reports.count() == 0) return;
  std::fflush(nullptr);
  _exit(findings_exit_status);
}

}  // namespace

Runtime& runtime() {
  static Runtime* const device = [] {
    auto* const made = new Runtime;  // never destroyed: the program's own destructors may still call
    if (std::atexit([] { look_over(); }) != 0) made->reports.add("output", "cannot look for leaks at exit");
    return made;
  }();
  return *device;
}

int current_device() { return t_device; }
void choose_device(int device) { t_device = device; }

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) t_last_error = error;
  return error;
}

cudaError_t last_error(bool clear) {
  if (runtime().engine.is_stopped() && t_last_error == cudaSuccess) return cudaErrorIllegalAddress;
  return clear ? std::exchange(t_last_error, cudaSuccess) : t_last_error;
}

CUstream_st* stream_of(cudaStream_t handle, const char* who) {
  Runtime& device = runtime();
  if (handle == nullptr || handle == cudaStreamLegacy) return device.engine.default_stream(t_device);
  if (device.engine.is_stream(handle)) return handle;
  device.reports.add("handle", std::string(who) + ": destroyed or unknown stream");
  return nullptr;
}

}  // namespace pregate::standin
