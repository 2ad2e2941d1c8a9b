// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/sweep_run.hpp"
#include "cli/task_board.hpp"

namespace pregate::cli {

/// The processes that compute one sweep together. Rank 0 hands out tasks and alone has the database; the
/// others compute tasks and send it rows. On each rank one thread at a time may call what is here.
class Ranks {
 public:
  Ranks() = default;
  virtual ~Ranks() = default;
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  [[nodiscard]] virtual int rank() const = 0;

  struct Fault {
    int rank = 0;
    std::string message;
  };
  /// All ranks meet here before the work: each says what hinders it (empty: nothing), what the sweep is,
  /// which must be the same for all, and how many threads compute on it. Returns on every rank the first
  /// fault.
  virtual std::optional<Fault> meet(const std::string& fault, const std::string& plan, int threads) = 0;
  /// Threads of all ranks.
  [[nodiscard]] virtual int threads_of_all() const = 0;

  /// Rank 0: answers whoever asks, with tasks of the board; rows go to `emit`. Returns whether anyone did.
  virtual bool serve(TaskBoard& board, const std::function<void(sim::PointRow)>& emit) = 0;
  /// Rank 0: tells the others that nothing is left; waits a little for those that still compute. A rank that
  /// does not ask by then is given up.
  virtual void dismiss() = 0;

  /// The other ranks: computes what it is told on so many threads, until nothing is left.
  virtual void work(SweepRunner& runner, int threads) = 0;
};

/// Null: this process is alone.
using JoinRanks = std::unique_ptr<Ranks> (*)();

/// Of a program without MPI: null, or InputError where a launcher of MPI started several of it, which would
/// all do the same.
std::unique_ptr<Ranks> refuse_ranks();

/// pregate sweep, where whoever started the program may have started several.
ExitCode sweep_with(const Arguments& arguments, JoinRanks join);

}  // namespace pregate::cli
