// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "models/collective.hpp"
#include "models/collective_constants.hpp"
#include "models/machine.hpp"
#include "models/units.hpp"

namespace pregate::sim {

struct CollectiveCall {
  Collective kind{};
  /// Of a GPU's whole buffer: what is summed (all-reduce, reduce-scatter), what each GPU ends with
  /// (all-gather), what each sends in all, its own part included (all-to-all).
  Bytes bytes;
  int gpus = 1;  ///< those that take part; of one, and of no bytes, the time is 0
  /// Groups that do this at once, interleaved: of `lanes` GPUs beside each other one is in each. Between
  /// hosts they share the network.
  int lanes = 1;
  CollectiveLibrary library = CollectiveLibrary::nccl;
  CollectiveLaunch launch = CollectiveLaunch::graph;
};

/// How an all-to-all of GPUs of several hosts goes.
enum class AllToAllWay : std::uint8_t {
  hierarchical,  ///< within each host, then between hosts: few messages, all bytes move twice (DeepSpeed-MoE)
  flat,          ///< each GPU sends to each other one itself
};

/// An all-to-all of messages that differ, by its heaviest parts (ExchangeTotals).
struct UnequalMessages {
  Bytes of_gpu;  ///< hierarchical: the most that a GPU sends or gets; flat: of that what stays in its host
  Bytes between_hosts;  ///< the most that a host sends or gets
};

/// Where the time of a call comes from.
enum class CollectiveSource {
  measured,  ///< fitted on collectives measured on this kind of GPU
  estimate,  ///< the formula of a ring over links as the machine describes them
};

/// How long collectives take on a machine: on GPUs of one host by constants fitted on measurements where the
/// catalogue has them for its kind of GPU, else by the formula of a ring; over hosts by levels. Constant
/// members may be called from several threads. Formulas, constants, errors: docs/collectives.md.
class CollectiveTimes {
 public:
  /// Of the machine's GPUs (gpu.count of a host), links (link.peer; without it through the host) and network.
  /// Constants of its kind of GPU are taken unless link.peer is more than three times as fast or as slow as
  /// the links that were measured.
  explicit CollectiveTimes(const MachineSpec& machine);

  /// InputError for fewer than one GPU, negative bytes, or more GPUs than the machine has.
  [[nodiscard]] Picoseconds time(const CollectiveCall& call) const;

  /// An all-to-all of messages that differ, by the heaviest parts of what ExchangeTotals sums up: it ends
  /// when the GPU that sends or receives most is done. Over hosts: hierarchical, what the heaviest GPU sends
  /// within its host, and then what the heaviest host sends over the network, after a message's latency for
  /// each other host; flat, the longer of both, where each GPU of other hosts is a message's latency.
  [[nodiscard]] Picoseconds all_to_all(const UnequalMessages& messages, int gpus, AllToAllWay way,
                                       CollectiveLaunch launch = CollectiveLaunch::graph) const;

  [[nodiscard]] CollectiveSource source() const;
  /// The GPU whose constants are used; empty for an estimate.
  [[nodiscard]] const std::string& measured_on() const { return measured_.name; }
  /// Mean relative error to expect within a host, as judged on calls that were not fitted; none for an
  /// estimate.
  [[nodiscard]] std::optional<double> expected_error(Collective kind, CollectiveLibrary library) const;
  /// In a line, for people: where times come from and how wrong they may be.
  [[nodiscard]] std::string note() const;

 private:
  /// A way that each GPU has to itself.
  struct Way {
    double alpha_s = 0;  ///< of a message
    double rate = 0;     ///< bytes a second
  };
  void check(int gpus, Bytes least) const;
  [[nodiscard]] Way way_within(int gpus) const;
  [[nodiscard]] double within_host(const CollectiveCall& call, double bytes, int gpus) const;
  [[nodiscard]] double between_hosts(Collective kind, double bytes, int hosts) const;
  /// Of so many messages one after another, and of all that a host sends or gets.
  [[nodiscard]] double over_network(int messages, double volume) const;

  GpuCollectives measured_;  ///< without fits for an estimate
  PathSpec peer_;
  LinkSpec h2d_, d2h_;
  BytesPerSecond host_memory_;
  NetworkSpec network_;
  int gpus_per_host_ = 1;
};

}  // namespace pregate::sim
