// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/expert_exchange.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "models/error.hpp"

namespace pregate::sim {
namespace {

std::size_t size_of(int gpus) {
  if (gpus < 1) throw InputError("all-to-all", "of " + std::to_string(gpus) + " GPUs");
  return static_cast<std::size_t>(gpus);
}

}  // namespace

std::int64_t StaticGating::room(std::int64_t tokens) const {
  // A product that is whole but for rounding is that whole number: 0.05 x 20 is room for 1.
  constexpr double rounding = 1e-9;
  return static_cast<std::int64_t>(std::ceil(capacity * static_cast<double>(tokens) * (1 - rounding)));
}

double StaticGating::waste(int top_k) const {
  if (top_k < 1) throw InputError("static gating", "a token has " + std::to_string(top_k) + " experts");
  return static_cast<double>(experts) * capacity / top_k;
}

std::int64_t StaticGating::dropped(std::span<const std::uint32_t> by_expert, std::int64_t tokens) const {
  const std::int64_t most = room(tokens);
  std::int64_t sum = 0;
  for (const std::uint32_t count : by_expert) sum += std::max<std::int64_t>(0, count - most);
  return sum;
}

ExchangeTotals::ExchangeTotals(int gpus, int gpus_a_host)
    : a_host_(size_of(gpus_a_host)),
      gpus_(size_of(gpus)),
      within_(gpus_.size()),
      hosts_((gpus_.size() + a_host_ - 1) / a_host_) {}

void ExchangeTotals::clear() {
  for (std::vector<Both>* const all : {&gpus_, &within_, &hosts_})
    std::fill(all->begin(), all->end(), Both{});
}

void ExchangeTotals::add(std::size_t from, std::size_t to, Bytes bytes) {
  if (from == to) return;
  const auto count = [bytes](Both& sender, Both& receiver) {
    sender.sent += bytes;
    receiver.got += bytes;
  };
  count(gpus_[from], gpus_[to]);
  if (from / a_host_ == to / a_host_)
    count(within_[from], within_[to]);
  else
    count(hosts_[from / a_host_], hosts_[to / a_host_]);
}

Bytes ExchangeTotals::most(const std::vector<Both>& all) {
  Bytes most;
  for (const Both& each : all) most = std::max({most, each.sent, each.got});
  return most;
}

}  // namespace pregate::sim
