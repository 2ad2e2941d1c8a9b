// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/capacity.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "models/error.hpp"

namespace pregate {
namespace {

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

bool is_sound(const Capacity& capacity) {
  return capacity.kind == CapacityKind::none ||
         (capacity.kind == CapacityKind::slots && capacity.slots >= 1 && capacity.slots <= most_slots) ||
         (capacity.kind == CapacityKind::bytes && capacity.bytes.count >= 1) ||
         (capacity.kind == CapacityKind::share && capacity.share > 0 && capacity.share <= 1);
}

}  // namespace pregate
