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

void check_square(std::span<const Bytes> from_to, std::size_t gpus) {
  if (from_to.size() != gpus * gpus) {
    throw InputError("all-to-all", std::to_string(from_to.size()) + " sizes of messages, where " +
                                       std::to_string(gpus) + " GPUs send " + std::to_string(gpus * gpus));
  }
}

}  // namespace

Bytes gathered_bytes(std::int64_t tokens, std::int64_t d_model, std::int64_t bytes_per_value) {
  return {tokens * d_model * bytes_per_value};
}

std::vector<Bytes> routed_bytes(std::span<const std::uint32_t> routed, std::span<const int> home, int gpus,
                                std::int64_t d_model, std::int64_t bytes_per_value) {
  const std::size_t count = size_of(gpus);
  if (routed.size() != count * home.size()) {
    throw InputError("all-to-all", std::to_string(routed.size()) + " counts of tokens, where " +
                                       std::to_string(gpus) + " GPUs route to " +
                                       std::to_string(home.size()) + " experts");
  }
  std::vector<Bytes> from_to(count * count);
  for (std::size_t expert = 0; expert < home.size(); ++expert) {
    if (home[expert] < 0 || home[expert] >= gpus) {
      throw InputError("all-to-all", "expert " + std::to_string(expert) + " is on GPU " +
                                         std::to_string(home[expert]) + " of " + std::to_string(gpus));
    }
    const auto to = static_cast<std::size_t>(home[expert]);
    for (std::size_t from = 0; from < count; ++from)
      from_to[from * count + to] +=
          gathered_bytes(routed[from * home.size() + expert], d_model, bytes_per_value);
  }
  return from_to;
}

std::vector<Bytes> transposed(std::span<const Bytes> from_to, int gpus) {
  const std::size_t count = size_of(gpus);
  check_square(from_to, count);
  std::vector<Bytes> back(from_to.size());
  for (std::size_t from = 0; from < count; ++from) {
    for (std::size_t to = 0; to < count; ++to) back[to * count + from] = from_to[from * count + to];
  }
  return back;
}

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

Bytes heaviest_exchange(std::span<const Bytes> from_to, int gpus) {
  const std::size_t count = size_of(gpus);
  check_square(from_to, count);
  ExchangeTotals totals(gpus, gpus);
  for (std::size_t from = 0; from < count; ++from) {
    for (std::size_t to = 0; to < count; ++to) {
      if (from_to[from * count + to].count < 0)
        throw InputError("all-to-all", "a message of less than no bytes");
      totals.add(from, to, from_to[from * count + to]);
    }
  }
  return totals.heaviest_gpu();
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

Picoseconds flat_all_to_all(std::span<const Bytes> from_to, int gpus, Picoseconds alpha,
                            BytesPerSecond rate) {
  return alpha * (gpus - 1) + time_at(heaviest_exchange(from_to, gpus), rate);
}

int hierarchical_hops(const HostLevels& levels) { return levels.gpus_per_host - 1 + levels.hosts() - 1; }

Picoseconds hierarchical_all_to_all(Bytes bytes, const HostLevels& levels) {
  if (levels.gpus_per_host < 1 || levels.gpus < 1 || levels.gpus % levels.gpus_per_host != 0) {
    throw InputError("all-to-all", std::to_string(levels.gpus) + " GPUs are not hosts of " +
                                       std::to_string(levels.gpus_per_host));
  }
  Picoseconds time;
  if (levels.gpus_per_host > 1)
    time += levels.alpha_within * (levels.gpus_per_host - 1) + time_at(bytes, levels.rate_within);
  if (levels.hosts() > 1)
    time += levels.alpha_between * (levels.hosts() - 1) + time_at(bytes, levels.rate_between);
  return time;
}

}  // namespace pregate::sim
