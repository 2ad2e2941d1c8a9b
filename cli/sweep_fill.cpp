// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/sweep_fill.hpp"

#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "models/error.hpp"

namespace pregate::cli {

namespace {

using Seconds = std::chrono::duration<double>;
using WallClock = std::chrono::steady_clock;

constexpr double seconds_between_commits = 0.5;
/// Rows that threads may be ahead of the database.
constexpr std::size_t most_waiting = 1024;

double seconds_since(WallClock::time_point begin) { return Seconds(WallClock::now() - begin).count(); }

/// Rows on their way from the threads that compute to the one that writes.
class RowQueue {
 public:
  void put(sim::PointRow row) {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, [&] { return rows_.size() < most_waiting || is_closed_; });
    rows_.push_back(std::move(row));
    has_rows_.notify_one();
  }
  /// Those that are there, after so long if none is.
  std::deque<sim::PointRow> take(std::chrono::milliseconds longest) {
    std::unique_lock lock(mutex_);
    has_rows_.wait_for(lock, longest, [&] { return !rows_.empty(); });
    has_room_.notify_all();
    return std::exchange(rows_, {});
  }
  /// Nobody takes any more: who waits for room need not.
  void close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    has_room_.notify_all();
  }
  void wake() { has_rows_.notify_one(); }

 private:
  std::mutex mutex_;
  std::condition_variable has_rows_, has_room_;
  std::deque<sim::PointRow> rows_;
  bool is_closed_ = false;
};

/// Points done, their rate and the time that is left, on a terminal.
class PointProgress {
 public:
  PointProgress(std::int64_t done, std::int64_t all)
      : first_(done), done_(done), all_(all), shown_(isatty(STDERR_FILENO) != 0), began_(WallClock::now()) {}
  void add(std::size_t points) { done_ += static_cast<std::int64_t>(points); }
  void show() {
    if (!shown_ || seconds_since(last_) < 0.2) return;
    last_ = WallClock::now();
    const double took = seconds_since(began_);
    const double rate = static_cast<double>(done_ - first_) / std::max(took, 1e-3);
    const double left = static_cast<double>(all_ - done_) / std::max(rate, 1e-3);
    std::fprintf(stderr, "\r%lld of %lld points, %.0f a second, %s left   ", static_cast<long long>(done_),
                 static_cast<long long>(all_), rate, duration(left).c_str());
  }
  void clear() const {
    if (shown_) std::fprintf(stderr, "\r%70s\r", "");
  }
  [[nodiscard]] std::int64_t done() const { return done_; }

 private:
  std::int64_t first_, done_, all_;
  bool shown_;
  WallClock::time_point began_, last_{};
};

/// Threads that compute tasks in turn. The first error that is nobody's input stops them.
class Workers {
 public:
  Workers(SweepRunner& runner, TaskBoard& board, int threads, RowQueue& rows)
      : runner_(runner), board_(board), rows_(rows), running_(threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void stop() {
    stopped_ = true;
    rows_.close();
    threads_.clear();
  }
  [[nodiscard]] bool are_done() const { return running_ == 0; }
  void rethrow() const {
    if (fault_) std::rethrow_exception(fault_);
  }

 private:
  void work() {
    try {
      while (!stopped_ && !board_.are_done()) {
        const std::optional<std::size_t> number = board_.take();
        if (!number && !board_.repeats()) break;
        if (!number) {
          std::this_thread::sleep_for(std::chrono::milliseconds(10));  // others are at the rest
          continue;
        }
        runner_.run(
            board_.task(*number), [&](sim::PointRow row) { rows_.put(std::move(row)); },
            [&] { return stopped_.load(); });
        if (!stopped_) board_.done(*number);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!fault_) fault_ = std::current_exception();
      stopped_ = true;
    }
    --running_;
    rows_.wake();
  }

  SweepRunner& runner_;
  TaskBoard& board_;
  RowQueue& rows_;
  std::atomic<bool> stopped_{false};
  std::atomic<int> running_;
  std::mutex mutex_;
  std::exception_ptr fault_;
  std::vector<std::jthread> threads_;
};

/// What points take of memory, the next ones need again: to hand it back to the system and fault it in anew
/// takes a tenth of the time, and the threads of a process queue for it.
void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int most_kept = 256 << 20, mapped_apart = 32 << 20;
  mallopt(M_TRIM_THRESHOLD, most_kept);
  mallopt(M_MMAP_THRESHOLD, mapped_apart);
#endif
}

std::unordered_set<std::int64_t> known_configurations(const SweepInputs& inputs,
                                                      const sim::SweepStore& store) {
  std::unordered_set<std::int64_t> known;
  const std::int64_t count =
      std::int64_t{inputs.count_of(Concern::workload)} * inputs.count_of(Concern::hardware);
  for (std::int64_t number = 0; number < count; ++number)
    if (store.has_configuration(number)) known.insert(number);
  return known;
}

}  // namespace

std::unique_ptr<Ranks> refuse_ranks() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* const size = std::getenv(name);
    if (size != nullptr && std::atoi(size) > 1)
      throw InputError("sweep", "this program was built without MPI, and several of it were started together",
                       "start it once, or build it with -DPREGATE_MPI=ON");
  }
  return nullptr;
}

bool fill(const SweepInputs& inputs, sim::SweepStore& store, int threads, Ranks* ranks) {
  keep_freed_memory();
  SweepRunner runner(inputs);
  runner.keep_configurations(known_configurations(inputs, store));
  TaskBoard board(tasks_of(inputs, store.done(), ranks != nullptr ? ranks->threads_of_all() : threads),
                  ranks != nullptr ? TaskBoard::Repeats::when_late : TaskBoard::Repeats::never);
  const auto before = std::count(store.done().begin(), store.done().end(), std::uint8_t{1});
  PointProgress progress(before, inputs.points().count());
  std::int64_t kept = before;
  RowQueue rows;
  const auto keep = [&](const sim::PointRow& row) {
    if (store.done()[static_cast<std::size_t>(row.point)] != 0) return;  // of a task that was repeated
    if (!store.has_configuration(row.configuration))
      store.add_configuration(row.configuration, runner.configuration(row.configuration));
    store.add(row);
    progress.add(1);
  };
  const CatchInterrupt interruptible;
  try {
    Workers workers(runner, board, std::min(threads, std::max(1, static_cast<int>(board.size()))), rows);
    WallClock::time_point committed = WallClock::now();
    const std::chrono::milliseconds longest_wait{ranks != nullptr ? 1 : 100};
    for (bool last = false; !last;) {
      last = workers.are_done() || interrupts != 0;
      if (last) workers.stop();
      for (const sim::PointRow& row : rows.take(longest_wait)) keep(row);
      if (ranks != nullptr && !last) ranks->serve(board, keep);
      progress.show();
      if (!last && seconds_since(committed) < seconds_between_commits) continue;
      store.commit();
      kept = progress.done();
      committed = WallClock::now();
    }
    progress.clear();
    workers.rethrow();
  } catch (...) {
    progress.clear();
    if (ranks != nullptr) ranks->dismiss();
    std::fprintf(stderr, "%lld of %lld points are kept; the same command goes on from there\n",
                 static_cast<long long>(kept), static_cast<long long>(inputs.points().count()));
    throw;
  }
  if (ranks != nullptr) ranks->dismiss();
  return progress.done() == inputs.points().count();
}

}  // namespace pregate::cli
