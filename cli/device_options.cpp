// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/device_options.hpp"

#include <unistd.h>

#include <cstdio>

#include "models/error.hpp"
#include "models/terminal_text.hpp"
#include "models/units.hpp"

namespace pregate::cli {

po::options_description device_options() {
  po::options_description options("Device");
  options.add_options()                                                                                     //
      ("device", po::value<std::string>(), "host or cuda; default: cuda where a GPU answers, else host")    //
      ("gpu-memory", po::value<std::string>(), "budget of device memory, e.g. 8GiB; default: what it has")  //
      ("compute-threads", po::value<std::string>(),
       "host device: threads of the compute stream; default: all cores but one")  //
      ("cpu-threads", po::value<std::string>(),
       "cores for experts that the CPU computes; default: host device those of copies, else all but one")  //
      ("distinct-experts", po::value<std::string>(),
       "let experts share this many weight buffers in host memory; default: one each")  //
      ("experts-on-ssd", po::value<std::string>(),
       "host device: fetch experts from a file in this directory, past the page cache, instead of host "
       "memory");
  return options;
}

po::options_description attention_option() {
  po::options_description options("Attention");
  options.add_options()  //
      ("attention", po::value<std::string>()->default_value("products"),
       "products: two matrix products of its size; kv-cache: over a KV cache on the device");
  return options;
}

runtime::Attention attention_of(const Parsed& parsed) {
  return runtime::parse_attention(parsed.text("attention"), "--attention");
}

std::unique_ptr<runtime::Device> open_device(const Parsed& parsed) {
  std::string name = parsed.text("device"), reason;
  if (name.empty()) name = runtime::cuda_available(reason) ? "cuda" : "host";
  runtime::DeviceOptions options;
  if (parsed.has("gpu-memory")) options.memory = parse_bytes(parsed.text("gpu-memory"), "--gpu-memory");
  options.compute_threads = static_cast<int>(parsed.integer("compute-threads", 0, 1, 4096));
  options.cpu_threads = static_cast<int>(parsed.integer("cpu-threads", 0, 1, 4096));
  return runtime::open_device(name, options);
}

runtime::StoreOptions store_options(const Parsed& parsed) {
  if (parsed.has("experts-on-ssd") && parsed.text("experts-on-ssd").empty())
    throw InputError("--experts-on-ssd", "an empty name", "name a directory on the drive");
  return {parsed.integer("distinct-experts", 0, 1, 1'000'000'000), parsed.text("experts-on-ssd")};
}

std::string describe(const runtime::Device& device) {
  const runtime::DeviceInfo& info = device.info();
  return info.kind + " device, " + info.name + ", " + to_string(info.memory) + ", " + info.software;
}

void report_stage(const std::string& stage) {
  if (isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "\r\033[K%s", one_line(stage).c_str());
  if (stage.empty()) std::fflush(stderr);
}

}  // namespace pregate::cli
