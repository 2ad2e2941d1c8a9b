// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <span>

#include "sim/parts/moment.hpp"
#include "sim/parts/part.hpp"

namespace pregate::sim {

/// What is done about an activated expert that is not on the GPU.
struct Serving {
  bool is_fetched = true;      ///< it is copied to the GPU
  PlaceId place{};             ///< otherwise: what computes it, from the memory that holds it
  bool is_copied_too = false;  ///< and into the cache meanwhile, for next time, if it takes it in
};

constexpr Serving computed_at(PlaceId place) { return {false, place}; }

/// The experts that a layer misses.
struct Misses {
  std::span<const ExpertKey> keys;
  std::span<const std::uint32_t> tokens;  ///< of each
  std::span<const ExpertKey> there_keys;  ///< activated experts that are on the GPU
  std::span<const std::uint32_t> there_tokens;
};

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

  Make make;                 ///< empty: every miss is fetched, and the cache alone knows who misses
  bool fetches = true;       ///< some misses are copied to the GPU because of it
  bool uses_cpu = false;     ///< some are computed by the CPU
  bool all_on_cpu = false;   ///< each and every one of them
  bool copies_too = false;   ///< says so of some that the CPU computes
  bool needs_clock = false;  ///< asks what the time is, or what is left to do

  [[nodiscard]] bool fetches_all() const { return !make; }
};

}  // namespace pregate::sim
