// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// How fast routed entries come out of a warm trace database, on one core: rows like gpt-oss-20b's decode
// steps, 24 layers x 4 experts. The process's peak resident memory is reported beside the size of the file:
// reading streams.
#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "traces/reader.hpp"
#include "traces/synthetic.hpp"
#include "traces/writer.hpp"

namespace {

using namespace pregate::trace;

class TraceFile {
 public:
  explicit TraceFile(std::int64_t requests)
      : path_(
            (std::filesystem::temp_directory_path() / ("pregate-bench-" + std::to_string(::getpid()) + ".db"))
                .string()) {
    GeneratorProfile profile;
    profile.name = "gpt-oss-20b shape";
    profile.stacks = {"decoder"};
    profile.decode_steps = 1000;
    for (int l = 0; l < 24; ++l) profile.layers.push_back({{0, l, 32, 4, pregate::Bytes{}}, 0.5, 0.3, 0, 1});
    write_trace(*generate(profile, requests, 1), {}, path_, true);
  }
  ~TraceFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void drain(StepSource& source, std::int64_t& entries) {
  Step step;
  while (source.next(step)) {
    benchmark::DoNotOptimize(step.experts.data());
    entries += static_cast<std::int64_t>(step.experts.size());
  }
}

void report(benchmark::State& state, const TraceFile& file, std::int64_t entries) {
  state.counters["routed_entries_per_s"] =
      benchmark::Counter(static_cast<double>(entries), benchmark::Counter::kIsRate);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  state.counters["peak_rss_mb"] = static_cast<double>(usage.ru_maxrss) / 1024;
  state.counters["file_mb"] = static_cast<double>(std::filesystem::file_size(file.path())) / 1048576;
}

void trace_loading(benchmark::State& state) {
  const TraceFile file(state.range(0));
  std::int64_t entries = 0;
  for (auto _ : state) {
    const auto source = open_trace(file.path());
    drain(*source, entries);
  }
  report(state, file, entries);
}

void trace_from_memory(benchmark::State& state) {
  const TraceFile file(state.range(0));
  const auto memory = load_into_memory(*open_trace(file.path()));
  std::int64_t entries = 0;
  for (auto _ : state) {
    memory->rewind();
    drain(*memory, entries);
  }
  report(state, file, entries);
}

BENCHMARK(trace_loading)
    ->Name("trace_loading")
    ->Arg(100)
    ->Arg(1000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(trace_from_memory)
    ->Name("trace_from_memory")
    ->Arg(100)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
