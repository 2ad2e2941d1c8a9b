// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the parts of a policy are called: here and nowhere else.
#include <array>

#include "sim/policy/policy_choices.hpp"

namespace pregate {
namespace {

constexpr std::array<Choice<CacheScope>, 2> scopes{{
    {CacheScope::layer, "layer", "each layer has its own slots", "", ""},
    {CacheScope::global, "global", "all layers share the slots", "", ""},
}};

constexpr std::array<Choice<CacheSplit>, 3> splits{{
    {CacheSplit::even, "even", "as many slots for each, rounded down", "", ""},
    {CacheSplit::spread, "spread", "all of them: layers may differ by one slot", "", ""},
    {CacheSplit::budgets, "budgets", "all of them, so that an LRU of each layer together misses least",
     "slots by layer", ""},
}};

constexpr std::array<Choice<AnnouncedCopies>, 2> announcements{{
    {AnnouncedCopies::queued, "queued", "when the ids are known, behind the copies under way", "", ""},
    {AnnouncedCopies::one_layer, "one-layer",
     "when the host has waited for the copies of the layer that announces, and then read its ids back", "",
     ""},
}};

constexpr std::array<Choice<WriteBack>, 2> write_backs{{
    {WriteBack::none, "none", "it is dropped", "", ""},
    {WriteBack::swap, "swap", "it is copied to the host", "swap", ""},
}};

constexpr std::array<Choice<ExpertCompute>, 3> computations{{
    {ExpertCompute::grouped, "grouped", "in one kernel a layer", "", ""},
    {ExpertCompute::per_expert, "per-expert", "one by one, each as soon as it is there", "expert by expert",
     ""},
    {ExpertCompute::by_chunk, "by-chunk", "one by one, each chunk of one as soon as it is there",
     "chunk by chunk", ""},
}};

constexpr std::array<Choice<MissAdmission>, 2> miss_admissions{{
    {MissAdmission::none, "none", "it stays on the host", "", ""},
    {MissAdmission::background, "background", "it is copied into the cache meanwhile, as far as that hides",
     "copied in the background", ""},
}};

constexpr std::array<Choice<PredictionStream>, 2> prediction_streams{{
    {PredictionStream::compute, "compute", "the GPU, which computes nothing else then", "", ""},
    {PredictionStream::host, "host", "the CPU, beside the GPU", "", ""},
}};

constexpr std::array<Choice<WrongGuesses>, 2> wrong_guesses{{
    {WrongGuesses::keep, "keep", "it is copied all the same", "", ""},
    {WrongGuesses::cancel, "cancel", "what of its copy has not started is taken back",
     "wrong guesses cancelled", ""},
}};

constexpr std::array<Choice<KvMemory>, 2> kv_memories{{
    {KvMemory::gpu, "gpu", "the GPU's", "", ""},
    {KvMemory::host, "host", "the host's: what attention reads of it is copied, or the CPU attends to it",
     "KV cache on the host", ""},
}};

constexpr std::array<Choice<AttentionPlace>, 2> attention_places{{
    {AttentionPlace::gpu, "gpu", "the GPU, to which the cached tokens are copied", "", ""},
    {AttentionPlace::cpu, "cpu", "the CPU, to which queries are copied, and from it what it computed",
     "attention on the CPU", ""},
}};

constexpr std::array<Choice<Synchronized>, 2> synchronizations{{
    {Synchronized::never, "never", "kernels wait for what they read", "", ""},
    {Synchronized::micro_batch, "micro-batch", "after a micro-batch the host waits for every copy under way",
     "synchronized", ""},
}};

}  // namespace

template <>
std::span<const Choice<PredictionStream>> choices() {
  return prediction_streams;
}
template <>
std::span<const Choice<WrongGuesses>> choices() {
  return wrong_guesses;
}
template <>
std::span<const Choice<KvMemory>> choices() {
  return kv_memories;
}
template <>
std::span<const Choice<AttentionPlace>> choices() {
  return attention_places;
}
template <>
std::span<const Choice<Synchronized>> choices() {
  return synchronizations;
}
template <>
std::span<const Choice<CacheScope>> choices() {
  return scopes;
}
template <>
std::span<const Choice<CacheSplit>> choices() {
  return splits;
}
template <>
std::span<const Choice<AnnouncedCopies>> choices() {
  return announcements;
}
template <>
std::span<const Choice<WriteBack>> choices() {
  return write_backs;
}
template <>
std::span<const Choice<ExpertCompute>> choices() {
  return computations;
}
template <>
std::span<const Choice<MissAdmission>> choices() {
  return miss_admissions;
}

}  // namespace pregate
