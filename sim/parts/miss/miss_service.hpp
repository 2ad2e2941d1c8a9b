// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "sim/parts/moment.hpp"
#include "sim/parts/part.hpp"
#include "sim/program/format.hpp"
#include "sim/workload/trace_scan.hpp"

namespace pregate::sim {

/// What is done about an activated expert that is not on the GPU.
enum class Service : std::uint8_t {
  fetch,       ///< it is copied to the GPU and computed there
  compute,     ///< another place computes it, from the memory that holds it
  read,        ///< the GPU's kernel reads it where it is, over the link; it takes no slot
  skip,        ///< nobody computes it: the tokens do without
  substitute,  ///< another expert that is on the GPU is computed in its place
};
struct Serving {
  Service service = Service::fetch;
  PlaceId place{};             ///< compute: where
  bool is_copied_too = false;  ///< compute: and into the cache meanwhile, for next time, if it takes it in
  ExpertKey instead{};         ///< substitute: who
  FormatId format{};           ///< fetch: in which, at least
};

constexpr Serving computed_at(PlaceId place) { return {.service = Service::compute, .place = place}; }

/// The experts that a layer misses.
struct Misses {
  std::span<const ExpertKey> keys;
  std::span<const std::uint32_t> tokens;  ///< of each
  std::span<const ExpertKey> there_keys;  ///< activated experts that are on the GPU
  std::span<const std::uint32_t> there_tokens;
  /// Of services that need weights: by miss, what the router gave to better-ranked experts of the token that
  /// wants it most, as a share of all that it gave that token; 0: some token has no better one.
  std::span<const double> better{};
  /// Of services that substitute: experts of the layer that are on the GPU and that it does not activate.
  std::span<const ExpertKey> idle{};
  /// Further misses, that the CPU has begun with before: nothing is decided over them.
  std::size_t begun_ahead = 0;
  /// Of services that mark: by miss, MissServiceEntry::mark of it.
  std::span<const std::uint8_t> marked{};
};

/// Whether an expert's Misses::better is more than `share`, which the weights, kept in single precision, may
/// miss by a little.
constexpr bool is_lighter_than(double better, double share) { return better > share + 1e-6; }

/// Decides over the misses of a layer when its ids are known.
class MissService {
 public:
  MissService() = default;
  virtual ~MissService() = default;
  MissService(const MissService&) = delete;
  MissService& operator=(const MissService&) = delete;

  /// `of_each` is as long as the misses, of which there may be none; it comes filled with fetches.
  virtual void decide(const Moment& moment, const Misses& misses, std::span<Serving> of_each) = 0;
};

/// A miss service as policies choose it (`miss.service`). What is not said of it is not assumed.
struct MissServiceEntry : PartDescription {
  using Make = std::function<std::unique_ptr<MissService>(const std::any& parameters)>;

  Make make;                     ///< empty: every miss is fetched, and the cache alone knows who misses
  bool fetches = true;           ///< some misses are copied to the GPU because of it
  bool uses_cpu = false;         ///< some are computed by the CPU
  bool all_on_cpu = false;       ///< each and every one of them
  bool copies_too = false;       ///< says so of some that the CPU computes
  bool needs_clock = false;      ///< asks what the time is, or what is left to do
  bool uses_near_data = false;   ///< some are computed by a near-data device, whose memory holds all experts
  bool needs_weights = false;    ///< asks what the router gave an expert (Misses::better)
  bool drops = false;            ///< some are not computed: the result is that of another model
  bool uses_low_format = false;  ///< asks for some in formats.low
  /// Of one that decides something of every expert before the run: that, by key.
  std::function<std::vector<std::uint8_t>(const std::any& parameters, const ExpertMap& map,
                                          const TraceScan& scan)>
      mark;
  bool substitutes = false;  ///< or others are in their place (Misses::idle)
  /// Of one that has the GPU read over the link: at which rate, 0 for that of the link; empty: it does not.
  std::function<BytesPerSecond(const std::any& parameters)> read_rate;

  [[nodiscard]] bool fetches_all() const { return !make; }
  /// The routing that is computed is the trace's.
  [[nodiscard]] bool is_exact() const { return !drops && !substitutes && !uses_low_format; }
};

}  // namespace pregate::sim
