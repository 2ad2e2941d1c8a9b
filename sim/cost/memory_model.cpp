// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/memory_model.hpp"

#include <algorithm>
#include <cmath>

#include "sim/cost/graph_memory.hpp"
#include "sim/program/copy_plan.hpp"

namespace pregate::sim {

namespace {

/// Scratch of the GEMM library, where the software does not say what it holds: cuBLAS documents a default
/// workspace of 4 MiB up to Ampere and 32 MiB on Hopper; the larger counts for all.
constexpr Bytes gemm_workspace{32LL << 20};

Bytes slot_size(const ModelSpec& model) {
  Bytes slot;
  for (const Stack& stack : model.stacks) slot = std::max(slot, model.expert_bytes(stack));
  return slot;
}

Bytes smallest_expert(const ModelSpec& model) {
  Bytes smallest = slot_size(model);
  for (const Stack& stack : model.stacks) {
    if (model.expert_bytes(stack).count > 0) smallest = std::min(smallest, model.expert_bytes(stack));
  }
  return smallest;
}

/// Residual, normed input and attention output of every token, the widest intermediate of the feed-forward
/// (the experts' for each of top-k), and the logits of one token a sequence in fp32.
Bytes activations(const ModelSpec& model, const TraceScan& scan, int prompt_chunk) {
  double widest = 0;
  for (const Stack& stack : model.stacks) {
    for (const FeedForward& part : stack.feed_forwards) {
      const double routed = static_cast<double>(part.moe.top_k) * part.moe.ffn_dim;
      const double experts = (routed + part.moe.shared_ffn_dim) * (part.moe.gated ? 2 : 1);
      const double dense = static_cast<double>(part.ffn_dim) * (part.gated ? 2 : 1);
      widest = std::max({widest, experts, dense});
    }
  }
  const double element = std::max(2.0, model.dense_format.bits_per_parameter / 8);
  const int chunk =
      prompt_chunk > 0 ? std::min(prompt_chunk, scan.most_prefill_tokens) : scan.most_prefill_tokens;
  const double tokens = std::max(chunk, scan.most_whole_tokens);
  const double logits = static_cast<double>(scan.most_sequences) * static_cast<double>(model.vocabulary) * 4;
  return {static_cast<std::int64_t>(std::ceil(tokens * (3.0 * model.d_model + widest) * element + logits))};
}

std::int64_t reserved_tokens(const SoftwareMemorySpec& software, const TraceScan& scan, int prompt_chunk) {
  const int prompt =
      prompt_chunk > 0 ? std::min(prompt_chunk, scan.most_prefill_tokens) : scan.most_prefill_tokens;
  return std::max({software.reserved_tokens, prompt, scan.most_whole_tokens});
}

Bytes largest_layer(const ModelSpec& model) {
  Bytes largest;
  for (const Stack& stack : model.stacks) {
    for (const int layer : moe_layers(stack))
      largest = std::max(largest, model.expert_bytes(stack) * stack.feed_forward_of(layer).moe.experts);
  }
  return largest;
}

Bytes share_of(Bytes bytes, double share) { return {std::llround(static_cast<double>(bytes.count) * share)}; }

/// `held`: all else.
Bytes own_memory(const ModelSpec& model, const SoftwareMemorySpec& software, Bytes held) {
  const Bytes fixed = software.framework.count > 0 ? software.framework : gemm_workspace;
  const Bytes own = fixed + share_of(largest_layer(model), software.layer_experts);
  return own + share_of(held + own, software.fragmentation);
}

/// Of a cache whose blocks are taken as tokens come: as much as is given, or of what all else leaves what
/// all sequences may take, but room for one of them.
Bytes paged_kv(const ModelSpec& model, const PagedKv& paged, const TraceScan& scan, Bytes left,
               double fragmentation) {
  if (paged.memory.count > 0) return paged.memory;
  const std::int64_t blocks = (scan.most_context + paged.block - 1) / paged.block;
  const Bytes one = model.kv_bytes(blocks * paged.block), all = one * scan.most_sequences;
  const Bytes free{static_cast<std::int64_t>(static_cast<double>(left.count) / (1 + fragmentation))};
  return std::max(one, std::min(all, free));
}

/// Of a cache in the host's memory: what of a layer is copied for a micro-batch while the one before is
/// attended to. Where the CPU attends, for prompts that come in chunks.
Bytes kv_on_its_way(const ModelSpec& model, const PolicySpec& policy, const TraceScan& scan) {
  Bytes of_layer;
  for (const Stack& stack : model.stacks) {
    for (const LayerProfile& layer : model.profile(stack))
      of_layer = std::max(of_layer, layer.cached(scan.most_context));
  }
  const std::int64_t parts = policy.compute.micro_batches;
  return of_layer * ((scan.most_sequences + parts - 1) / parts * 2);
}

}  // namespace

/// What the software says it takes is counted with the run, and so is not reserved as well.
MemoryLimits memory_limits(const MachineSpec& machine) {
  const Bytes reserved{
      std::max<std::int64_t>(0, machine.gpu.reserved.count - machine.memory.framework.count)};
  const Bytes usable = machine.gpu.memory - reserved;
  // Experts that are there once a node, or at one node alone, have the memory of one.
  const HostSpec& host = machine.host;
  const bool of_one_node = host.compute.numa != NumaUse::interleaved;
  return {.name = machine.name,
          .gpu = usable,
          .host = of_one_node ? Bytes{host.memory.count / host.numa.nodes} : host.memory,
          .is_one_memory = machine.gpu.host_memory_traffic.value > 0,
          .other_gpu = machine.gpu.memory - machine.gpu.reserved,
          .drive = machine.ssd.capacity,
          .near_data = machine.near_data.memory,
          .software = machine.memory};
}

Bytes MemoryUse::total() const {
  Bytes sum;
  for (const Bytes part : peak) sum += part;
  return sum;
}

const HeldElsewhere* MemoryUse::fullest_elsewhere() const {
  const auto fullest =
      std::max_element(elsewhere.begin(), elsewhere.end(),
                       [](const HeldElsewhere& a, const HeldElsewhere& b) { return a.experts < b.experts; });
  return fullest == elsewhere.end() ? nullptr : &*fullest;
}

namespace {

Bytes& of(MemoryUse& use, MemoryPurpose purpose) { return use.peak[static_cast<std::size_t>(purpose)]; }

/// Weights on the GPU, and room for those that come.
void count_weights(const ModelSpec& model, const SoftwareMemorySpec& software, const Plan& plan,
                   CountedExperts counted, MemoryUse& use) {
  const auto& formats = plan.policy.formats;
  const Bytes whole = slot_size(model);
  const Bytes slot = formats.copied < 1 ? share_of_expert(whole, formats.copied) : whole;
  of(use, MemoryPurpose::dense_weights) =
      model.dense_bytes() - (software.host_embeddings ? model.input_embedding_bytes() : Bytes{});
  Bytes resident = whole * plan.resident_experts;
  // Of those that are not there as a whole.
  if (formats.held > 0 && plan.offloads())
    resident +=
        share_of_expert(model.all_expert_bytes(), formats.held) - share_of_expert(resident, formats.held);
  if (plan.policy.placement.kind->keeps_all && counted == CountedExperts::all) {
    resident = model.all_expert_bytes();  // also of stacks that the trace does not record
  }
  of(use, MemoryPurpose::resident_experts) = resident;
  const FormatPlan low = plan.low.value_or(FormatPlan{});
  const Bytes cached = formats.cached < 1 ? share_of_expert(slot, formats.cached) : slot;
  of(use, MemoryPurpose::expert_cache) = cached * plan.cache_slots + low.slot * low.cache_slots;
  // Staging copies need somewhere to land before the working buffer, when no cache slot serves.
  const bool landing = plan.policy.transfer.staging_copies > 0 && plan.offloads() && plan.cache_slots == 0;
  of(use, MemoryPurpose::working_buffers) =
      slot * (plan.buffer_slots + (landing ? 1 : 0)) + low.slot * low.buffer_slots;
  of(use, MemoryPurpose::prefill_buffers) = slot * plan.counted_prefill_slots;
}

/// Keys and values but those in blocks, and activations.
void count_sequences(const ModelSpec& model, const SoftwareMemorySpec& software, const Plan& plan,
                     const TraceScan& scan, int prompt_chunk, MemoryUse& use) {
  const std::int64_t reserved = reserved_tokens(software, scan, prompt_chunk);
  Bytes kv = software.cache_cells > 1
                 ? cache_in_cells(model, scan.most_context, reserved, software.cache_cells)
                 : model.kv_bytes(scan.most_context);
  for (const Stack& stack : model.stacks) {
    if (!stack.cross_attention) continue;
    for (const LayerProfile& layer : model.profile(stack))
      kv += layer.cross_kv_per_token * scan.most_encoder_tokens;
  }
  if (plan.policy.kv_cache.on_host()) {
    use.host_kv = kv * scan.most_sequences;
    of(use, MemoryPurpose::kv_cache) = kv_on_its_way(model, plan.policy, scan);
  } else if (!scan.paged) {
    of(use, MemoryPurpose::kv_cache) = kv * scan.most_sequences;
  }
  of(use, MemoryPurpose::activations) =
      software.reserved_tokens > 0
          ? graph_buffers(model, reserved,
                          in_cells(scan.most_context, software.cache_cells) * scan.most_sequences)
          : activations(model, scan, prompt_chunk);
}

/// Experts in other memories.
void count_elsewhere(const ModelSpec& model, const MemoryLimits& limits, const Plan& plan, MemoryUse& use) {
  use.elsewhere = plan.elsewhere;
  use.elsewhere_usable = limits.other_gpu;
  Bytes elsewhere;
  for (const HeldElsewhere& held : plan.elsewhere) elsewhere += held.experts;
  Bytes offloaded = plan.offloads() ? model.all_expert_bytes() - elsewhere : Bytes{};
  if (!limits.software.host_copies && plan.policy.formats.held == 0)
    offloaded = offloaded - std::min(offloaded, smallest_expert(model) * plan.resident_experts);
  if (plan.policy.miss.service->uses_near_data) use.near_data = model.all_expert_bytes();
  use.near_data_capacity = limits.near_data;
  const Bytes low = plan.low.value_or(FormatPlan{}).all_experts;
  use.host = (plan.make_host_tier ? slot_size(model) * plan.host_slots : offloaded + low) + use.host_kv;
  use.drive = plan.make_host_tier ? offloaded : Bytes{};
  use.drive_capacity = limits.drive;
}

}  // namespace

MemoryUse memory_use(const ModelSpec& model, const MemoryLimits& limits, const Plan& plan,
                     const TraceScan& scan, CountedExperts counted, int prompt_chunk) {
  MemoryUse use;
  const SoftwareMemorySpec& software = limits.software;
  count_weights(model, software, plan, counted, use);
  count_sequences(model, software, plan, scan, prompt_chunk, use);
  use.usable = limits.gpu;
  if (scan.paged) {
    const Bytes left = limits.gpu - use.total() - own_memory(model, software, use.total());
    of(use, MemoryPurpose::kv_cache) = paged_kv(model, *scan.paged, scan, left, software.fragmentation);
  }
  of(use, MemoryPurpose::workspace) = own_memory(model, software, use.total());
  count_elsewhere(model, limits, plan, use);
  use.host_usable = limits.host;
  if (limits.is_one_memory && limits.host)
    use.host_usable = Bytes{std::max<std::int64_t>(0, limits.host->count - use.total().count)};
  return use;
}

MemoryUse fit_memory(const ModelSpec& model, const MemoryLimits& limits, Plan& plan, const TraceScan& scan,
                     CountedExperts counted, int prompt_chunk) {
  if (prompt_chunk > 0 && scan.most_prefill_tokens > prompt_chunk) {
    plan.notes.push_back("activations are counted for prompt chunks of " + std::to_string(prompt_chunk) +
                         " tokens (--prompt-chunk), the prompt's time for one pass over " +
                         std::to_string(scan.most_prefill_tokens));
  }
  MemoryUse use = memory_use(model, limits, plan, scan, counted, prompt_chunk);
  const std::int64_t excess = use.total().count - use.usable.count;
  const double copied = plan.policy.formats.copied;
  const std::int64_t slot =
      copied < 1 ? share_of_expert(slot_size(model), copied).count : slot_size(model).count;
  if (excess <= 0 || plan.counted_prefill_slots == 0 || slot == 0) return use;
  const std::int64_t given_up = std::min(plan.counted_prefill_slots, (excess + slot - 1) / slot);
  plan.prefill_slots -= given_up;
  plan.counted_prefill_slots -= given_up;
  MemoryUse fitted = memory_use(model, limits, plan, scan, counted, prompt_chunk);
  if (fitted.fits()) {
    plan.notes.push_back("GPU memory leaves " + std::to_string(plan.prefill_slots) + " of " +
                         std::to_string(plan.prefill_slots + given_up) +
                         " expert buffers for passes over many tokens: their layers compute in waves");
  }
  return fitted;
}

}  // namespace pregate::sim
