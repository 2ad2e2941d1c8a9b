// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/impl/continuous.hpp"

#include <array>

#include "models/error.hpp"

namespace pregate {
namespace {

constexpr std::array<Choice<Prompts>, 2> places_of_prompts{{
    {Prompts::before, "before", "in passes of their own, which come before decode steps", "", ""},
    {Prompts::beside, "beside", "in decode steps, beside the sequences that decode", "", ""},
}};

}  // namespace

template <>
std::span<const Choice<Prompts>> choices() {
  return places_of_prompts;
}

namespace sim {
namespace {

const ContinuousParameters& of(const std::any& parameters) {
  return std::any_cast<const ContinuousParameters&>(parameters);
}

}  // namespace

BatcherEntry continuous() {
  BatcherEntry entry;
  entry.name = "continuous";
  entry.help = "requests join when they have arrived and a place is free, and leave when they are done";
  Fields<ContinuousParameters> fields;
  fields.add("max_batch", &ContinuousParameters::max_batch, "places: sequences at a time (--batch)",
             pregate::Range{1, 4096, "from 1 to 4096"});
  fields.add("prompts", &ContinuousParameters::prompts, "where the prompts of requests that join run");
  fields.add(
      "whole_prompts", &ContinuousParameters::whole_prompts,
      "with --prompt-chunk: a prompt that has no room beside others in a pass waits for the next one and "
      "is not cut");
  fields
      .add("arrivals_per_s", &ContinuousParameters::arrivals_per_s,
           "requests that arrive in a second, at random (--arrival-rate)",
           pregate::Range{1e-3, 1e6, "from 0.001 to 1000000"})
      .or_zero("as the trace has them, or all at once");
  fields.add("arrival_seed", &ContinuousParameters::arrival_seed, "of when they arrive");
  fields
      .add("kv_block", &ContinuousParameters::kv_block,
           "tokens of a block of KV memory, which are taken as tokens come (vLLM: 16)",
           pregate::Range{1, 4096, "from 1 to 4096"})
      .or_zero("memory for all that may be cached");
  fields.add("kv_memory", &ContinuousParameters::kv_memory,
             "of a GPU, that such blocks are cut from; 0: what all else leaves there");
  entry.parameters = PartParameters(fields);
  entry.make = [](const std::any& parameters, trace::StepSource& source, const BatcherSetting& setting) {
    return make_continuous(of(parameters), source, setting);
  };
  entry.most_requests = [](const std::any& parameters) { return of(parameters).max_batch; };
  entry.depends_on_time = [](const std::any& parameters, const trace::TraceInfo& trace) {
    return of(parameters).arrivals_per_s > 0 || of(parameters).kv_block > 0 || trace.has_arrivals;
  };
  entry.paged_kv = [](const std::any& parameters) -> std::optional<PagedKv> {
    const ContinuousParameters& chosen = of(parameters);
    if (chosen.kv_block == 0 && chosen.kv_memory.count > 0) {
      throw InputError("serve.kv_memory", "without blocks there is memory for all that may be cached",
                       "--set serve.kv_block=16");
    }
    if (chosen.kv_block == 0) return std::nullopt;
    return PagedKv{chosen.kv_block, chosen.kv_memory};
  };
  entry.mixes_prompts = [](const std::any& parameters) { return of(parameters).prompts == Prompts::beside; };
  return entry;
}

}  // namespace sim
}  // namespace pregate
