// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/serving.hpp"

#include "models/error.hpp"
#include "models/fields/read_fields.hpp"
#include "sim/policy/part_fields.hpp"
#include "sim/serve/lock_step.hpp"

namespace pregate::sim {

BatcherEntry continuous();

namespace {

/// Its batches and the parts of prompts are made in the trace (trace::compose_batches, cut_prompts).
BatcherEntry lock_step() {
  BatcherEntry entry;
  entry.name = "lock-step";
  entry.help =
      "requests one after the other, or so many side by side (--batch) until the last of them is done";
  entry.make = [](const std::any&, trace::StepSource& source, const BatcherSetting& setting) {
    return std::make_unique<LockStep>(source, setting.batches);
  };
  entry.most_requests = [](const std::any&) { return 1; };
  entry.depends_on_time = [](const std::any&, const trace::TraceInfo&) { return false; };
  entry.mixes_prompts = [](const std::any&) { return false; };
  return entry;
}

Fields<DraftSpec> draft_fields() {
  Fields<DraftSpec> fields;
  fields.add("tokens", &DraftSpec::tokens, "drafts that a decode step verifies, where none are recorded",
             pregate::Range{0, 64, "from 0 to 64"});
  fields.add("acceptance", &DraftSpec::acceptance, "probability that the first draft of a step is accepted",
             pregate::Range{0, 1, "from 0 to 1"});
  fields.add("decay", &DraftSpec::decay,
             "of each later one, if the one before it is accepted, as a share of that one's",
             pregate::Range{0, 1, "from 0 to 1"});
  fields.add("seed", &DraftSpec::seed, "of which are accepted");
  fields.add("time", &DraftSpec::time, "of the GPU for one draft of all sequences",
             pregate::Range{0, 10, "from 0 to 10 s"});
  return fields;
}

Fields<RequestLimits> limit_fields() {
  Fields<RequestLimits> fields;
  const pregate::Range hours{0, 36'000, "from 0 to 10 h"};
  fields.add("ttft", &RequestLimits::ttft, "to first token, of a request that counts as goodput; 0: any",
             hours);
  fields.add("tpot", &RequestLimits::tpot, "of an output token, likewise; 0: any", hours);
  return fields;
}

}  // namespace

const PartRegistry<BatcherEntry>& batchers() {
  static const PartRegistry<BatcherEntry> all = [] {
    PartRegistry<BatcherEntry> registry;
    registry.add(lock_step());
    registry.add(continuous());
    return registry;
  }();
  return all;
}

const Fields<ServingSpec>& serving_fields() {
  static const Fields<ServingSpec> all = [] {
    Fields<ServingSpec> fields;
    add_part(fields, "batcher", &ServingSpec::batcher, batchers(), "which requests run together");
    add_part_parameters(fields, "batcher", &ServingSpec::batcher, batchers());
    fields.add_table("limits", &ServingSpec::limits, limit_fields());
    fields.add_table("draft", &ServingSpec::draft, draft_fields());
    return fields;
  }();
  return all;
}

ServingSpec load_serving(std::span<const Override> overrides) {
  const Node root = settings_under("serve.", overrides);
  ServingSpec serving;
  TableReader top(root, "");
  read_fields(serving_fields(), serving, top);
  top.finish();
  return serving;
}

}  // namespace pregate::sim
