// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/policy.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "models/error.hpp"
#include "models/fields/describe.hpp"
#include "models/fields/read_fields.hpp"
#include "models/readers.hpp"

namespace pregate {
namespace {

constexpr const char* capacity_hint =
    "write 0, none, '64 slots', a size such as 4GiB, or a share such as 25%";
constexpr std::int64_t most_slots = 100'000'000;

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

}  // namespace

PolicySpec read_policy(const Node& root, const std::string& name) {
  PolicySpec policy;
  policy.name = name;
  TableReader top(root, "");
  read_fields(policy_fields(), policy, top);
  top.finish();
  validate(policy, root.where);
  return policy;
}

namespace {

void validate_lookahead(const PolicySpec& policy, const std::string& where) {
  const auto& lookahead = policy.lookahead;
  if (lookahead.kind == LookaheadKind::none && lookahead.distance != 1) {
    std::string kinds;
    for (const auto& each : choices<LookaheadKind>()) {
      if (each.value != LookaheadKind::none) kinds += (kinds.empty() ? "" : ", ") + std::string(each.name);
    }
    throw InputError(where, "lookahead.distance means nothing without a lookahead",
                     "set lookahead.kind to one of: " + kinds);
  }
  if (lookahead.kind != LookaheadKind::given_recall && lookahead.recall != 1) {
    throw InputError(where, "lookahead.recall means nothing with this lookahead.kind",
                     "remove it, or set lookahead.kind to " + name_of(LookaheadKind::given_recall));
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

}  // namespace

void validate(const PolicySpec& policy, const std::string& where) {
  check_ranges(policy_fields(), policy, where);
  if (!is_counted(policy) && policy.placement.count != 0) {
    throw InputError(where, "placement.count means nothing with this placement.kind",
                     "remove it, or choose " + name_of(PlacementKind::popular) + " or " +
                         name_of(PlacementKind::first_layers));
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
}

}  // namespace pregate
