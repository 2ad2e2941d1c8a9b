// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/policy.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "models/error.hpp"
#include "models/readers.hpp"
#include "models/table_reader.hpp"

namespace pregate {
namespace {

constexpr const char* capacity_hint =
    "write 0, none, '64 slots', a size such as 4GiB, or a share such as 25%";
constexpr std::int64_t most_slots = 100'000'000;
constexpr int farthest_lookahead = 10'000;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

/// Splits a number off the front of `text`; nullopt when there is none.
template <typename Number>
std::optional<Number> take_number(std::string_view& text) {
  Number value{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::string percent(double share) {
  std::array<char, 40> digits{};
  // 15 digits: enough to give back what was written, few enough to hide the rounding of the division by 100.
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), share * 100,
                                 std::chars_format::general, 15);
  return std::string(digits.data(), end.ptr) + "%";
}

}  // namespace

Capacity parse_capacity(const std::string& text, const std::string& where) {
  const auto refuse = [&](const std::string& why) {
    throw InputError(where, "cache capacity '" + printable(text) + "' " + why, capacity_hint);
  };
  const std::string_view body = trimmed(text);
  if (body == "none" || body == "0") return {};

  Capacity capacity;
  if (body.ends_with('%')) {
    std::string_view rest = body.substr(0, body.size() - 1);
    const auto number = take_number<double>(rest);
    if (!number || !trimmed(rest).empty()) refuse("is not a share");
    if (!std::isfinite(*number) || *number < 0 || *number > 100) refuse("must be from 0% to 100%");
    if (*number == 0) return {};
    capacity.kind = CapacityKind::share;
    capacity.share = *number / 100;
    return capacity;
  }
  if (body.ends_with("slots") || body.ends_with("slot")) {
    std::string_view rest = body;
    const auto number = take_number<std::int64_t>(rest);
    rest = trimmed(rest);
    if (!number || (rest != "slots" && rest != "slot")) refuse("is not a whole number of slots");
    if (*number < 0 || *number > most_slots)
      refuse("must be from 0 to " + std::to_string(most_slots) + " slots");
    if (*number == 0) return {};
    capacity.kind = CapacityKind::slots;
    capacity.slots = *number;
    return capacity;
  }
  std::string_view rest = body;
  if (take_number<double>(rest) && trimmed(rest).empty()) refuse("has no unit");
  try {
    capacity.bytes = parse_bytes(body, where);
  } catch (const InputError&) {
    refuse("is not a capacity");
  }
  if (capacity.bytes.count == 0) return {};
  capacity.kind = CapacityKind::bytes;
  return capacity;
}

std::string to_string(const Capacity& capacity) {
  switch (capacity.kind) {
    case CapacityKind::none:
      return "none";
    case CapacityKind::slots:
      return std::to_string(capacity.slots) + (capacity.slots == 1 ? " slot" : " slots");
    case CapacityKind::bytes:
      return to_string(capacity.bytes);
    case CapacityKind::share:
      return percent(capacity.share);
  }
  return "none";
}

namespace {

bool is_counted(const PolicySpec& policy) {
  return policy.placement.kind == PlacementKind::popular ||
         policy.placement.kind == PlacementKind::first_layers;
}

/// Whole experts are written 0, with or without a unit.
Bytes read_chunk(TableReader& transfer) {
  const Node* node = transfer.find("chunk");
  if (node == nullptr || (node->kind == Node::Kind::integer && node->integer == 0)) return {};
  if (node->kind == Node::Kind::text && node->text == "0") return {};
  return transfer.bytes("chunk");
}

}  // namespace

PolicySpec read_policy(const Node& root, const std::string& name) {
  PolicySpec policy;
  policy.name = name;
  TableReader top(root, "");
  policy.description = top.text_or("description", "");
  policy.source = top.text_or("source", "");
  if (auto placement = top.table_if("placement")) {
    policy.placement.kind = placement->choice_or("kind",
                                                 {{"none", PlacementKind::none},
                                                  {"all", PlacementKind::all},
                                                  {"popular", PlacementKind::popular},
                                                  {"first-layers", PlacementKind::first_layers}},
                                                 PlacementKind::none);
    policy.placement.count = placement->integer_or("count", 0, most_slots, 0);
    if (is_counted(policy) && !placement->has("count")) {
      throw InputError(placement->where(), "placement.count is missing, which this placement.kind needs",
                       "popular: experts pinned a layer; first-layers: MoE layers pinned; 0 pins none");
    }
    placement->finish();
  }
  if (auto cache = top.table_if("cache")) {
    policy.cache.scope = cache->choice_or(
        "scope", {{"layer", CacheScope::layer}, {"global", CacheScope::global}}, CacheScope::layer);
    if (cache->has("capacity")) {
      policy.cache.capacity = parse_capacity(cache->text("capacity"), cache->where("capacity"));
    }
    policy.cache.split = cache->choice_or(
        "split", {{"even", CacheSplit::even}, {"spread", CacheSplit::spread}}, CacheSplit::even);
    policy.cache.eviction = cache->text_or("eviction", policy.cache.eviction);
    policy.cache.admission = cache->choice_or(
        "admission", {{"always", Admission::always}, {"bypass", Admission::bypass}}, Admission::always);
    policy.cache.seed = static_cast<std::uint64_t>(cache->integer_or("seed", 0, INT64_MAX, 1));
    if (cache->has("hit_rate")) policy.cache.hit_rate = cache->number("hit_rate");
    cache->finish();
  }
  if (auto lookahead = top.table_if("lookahead")) {
    policy.lookahead.kind = lookahead->choice_or("kind",
                                                 {{"none", LookaheadKind::none},
                                                  {"all-next", LookaheadKind::all_next},
                                                  {"pre-gate", LookaheadKind::pre_gate},
                                                  {"recorded", LookaheadKind::recorded},
                                                  {"predictor", LookaheadKind::predictor}},
                                                 LookaheadKind::none);
    policy.lookahead.distance = static_cast<int>(lookahead->integer_or("distance", 1, farthest_lookahead, 1));
    policy.lookahead.recall = lookahead->number_or("recall", 1);
    policy.lookahead.seed = static_cast<std::uint64_t>(lookahead->integer_or("seed", 0, INT64_MAX, 1));
    lookahead->finish();
  }
  if (auto transfer = top.table_if("transfer")) {
    policy.transfer.chunk = read_chunk(*transfer);
    policy.transfer.queue = transfer->choice_or(
        "queue", {{"fifo", TransferQueue::fifo}, {"demand-first", TransferQueue::demand_first}},
        TransferQueue::fifo);
    policy.transfer.staging_copies = static_cast<int>(transfer->integer_or("staging_copies", 0, 16, 0));
    policy.transfer.pinned = transfer->boolean_or("pinned", true);
    policy.transfer.write_back = transfer->choice_or(
        "write_back", {{"none", WriteBack::none}, {"swap", WriteBack::swap}}, WriteBack::none);
    transfer->finish();
  }
  if (auto compute = top.table_if("compute")) {
    policy.compute.experts = compute->choice_or(
        "experts", {{"grouped", ExpertCompute::grouped}, {"per-expert", ExpertCompute::per_expert}},
        ExpertCompute::grouped);
    compute->finish();
  }
  if (auto miss = top.table_if("miss")) {
    policy.miss.service = miss->choice_or(
        "service", {{"fetch", MissService::fetch}, {"compute-on-cpu", MissService::compute_on_cpu}},
        MissService::fetch);
    policy.miss.admission = miss->choice_or(
        "admission", {{"none", MissAdmission::none}, {"background", MissAdmission::background}},
        MissAdmission::none);
    miss->finish();
  }
  top.finish();
  validate(policy, root.where);
  return policy;
}

namespace {

void validate_lookahead(const PolicySpec& policy, const std::string& where) {
  const auto& lookahead = policy.lookahead;
  if (lookahead.distance < 1 || lookahead.distance > farthest_lookahead) {
    throw InputError(where, "lookahead.distance must be from 1 to " + std::to_string(farthest_lookahead));
  }
  if (lookahead.kind == LookaheadKind::none && lookahead.distance != 1) {
    throw InputError(where, "lookahead.distance means nothing without a lookahead",
                     "set lookahead.kind to all-next, pre-gate, recorded or predictor");
  }
  if (!(lookahead.recall >= 0 && lookahead.recall <= 1)) {
    throw InputError(where, "lookahead.recall must be from 0 to 1");
  }
  if (lookahead.kind != LookaheadKind::predictor && lookahead.recall != 1) {
    throw InputError(where, "lookahead.recall means nothing with this lookahead.kind",
                     "remove it, or set lookahead.kind to predictor");
  }
  if (policy.placement.kind == PlacementKind::all && lookahead.kind != LookaheadKind::none) {
    throw InputError(where, "placement.kind = 'all' leaves nothing to look ahead for",
                     "remove lookahead.kind or choose another placement");
  }
}

/// What becomes of a miss, and of what leaves the GPU.
void validate_misses(const PolicySpec& policy, const std::string& where) {
  if (policy.transfer.write_back == WriteBack::swap && policy.transfer.queue == TransferQueue::demand_first) {
    throw InputError(where, "transfer.write_back = 'swap' needs copies in the order of issue",
                     "an expert must be gone before another overwrites its slot: set transfer.queue to fifo");
  }
  const bool on_cpu = policy.miss.service == MissService::compute_on_cpu;
  const bool admits = policy.miss.admission == MissAdmission::background;
  if (!on_cpu) return;  // a fetched miss is admitted by its fetch, whatever miss.admission says
  if (policy.placement.kind == PlacementKind::all) {
    throw InputError(where, "placement.kind = 'all' leaves no miss to compute on the CPU",
                     "remove miss.service or choose another placement");
  }
  const bool cached = policy.cache.capacity.kind != CapacityKind::none;
  if (cached && !admits) {
    throw InputError(where, "nothing would ever enter the cache: its misses are computed on the CPU",
                     "set miss.admission to background, or cache.capacity to 0 (--cache 0)");
  }
  if (!cached && admits) {
    throw InputError(where, "miss.admission = 'background' needs a cache",
                     "set cache.capacity (--cache), or miss.admission to none");
  }
  if (policy.lookahead.kind == LookaheadKind::all_next) {
    throw InputError(where, "the lookahead 'all-next' leaves no miss to compute on the CPU",
                     "remove miss.service or choose another lookahead");
  }
}

void validate_hit_rate(const PolicySpec& policy, const std::string& where) {
  const std::optional<double>& rate = policy.cache.hit_rate;
  if (rate && !(*rate >= 0 && *rate <= 1)) {
    throw InputError(where, "cache.hit_rate is not between 0 and 1",
                     "0.7 means that 70 % of the look-ups hit");
  }
}

}  // namespace

void validate(const PolicySpec& policy, const std::string& where) {
  if (policy.placement.count < 0) throw InputError(where, "placement.count is negative");
  if (!is_counted(policy) && policy.placement.count != 0) {
    throw InputError(where, "placement.count means nothing with this placement.kind",
                     "remove it, or choose popular or first-layers");
  }
  validate_lookahead(policy, where);
  validate_misses(policy, where);
  const Capacity& capacity = policy.cache.capacity;
  const bool sound =
      (capacity.kind == CapacityKind::none) ||
      (capacity.kind == CapacityKind::slots && capacity.slots >= 1 && capacity.slots <= most_slots) ||
      (capacity.kind == CapacityKind::bytes && capacity.bytes.count >= 1) ||
      (capacity.kind == CapacityKind::share && capacity.share > 0 && capacity.share <= 1);
  if (!sound) throw InputError(where, "cache.capacity is out of range", capacity_hint);
  if (policy.cache.eviction.empty())
    throw InputError(where, "cache.eviction is empty", "e.g. eviction = \"lru\"");
  validate_hit_rate(policy, where);
  if (policy.transfer.chunk.count < 0) throw InputError(where, "transfer.chunk is negative");
  if (policy.transfer.chunk.count > 0 && policy.transfer.chunk.count < 4096) {
    throw InputError(where, "transfer.chunk is below 4 KiB",
                     "a chunk that small costs more to issue than to copy; 0 copies whole experts");
  }
  if (policy.transfer.staging_copies < 0 || policy.transfer.staging_copies > 16) {
    throw InputError(where, "transfer.staging_copies must be from 0 to 16");
  }
}

}  // namespace pregate
