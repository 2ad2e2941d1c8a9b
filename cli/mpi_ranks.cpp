// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/mpi_ranks.hpp"

#include <mpi.h>

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

namespace pregate::cli {

namespace {

using Json = nlohmann::json;
using Bytes8 = std::vector<std::uint8_t>;

enum Tag : int { tag_request = 1, tag_task, tag_rows, tag_fault };

/// In a message of a task: its number, workload and points; or that.
constexpr std::int64_t nothing_now = -1, nothing_left = -2;
/// Rows that go in one message.
constexpr std::size_t rows_a_message = 64;
constexpr std::chrono::seconds patience_at_end{20};

Json json_of(const sim::PointRow& row) {
  Json figures = Json::array();
  for (const sim::MetricValue& value : row.figures) {
    if (const auto* count = std::get_if<std::int64_t>(&value)) {
      figures.push_back(*count);
    } else if (const auto* measure = std::get_if<double>(&value)) {
      figures.push_back(*measure);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      figures.push_back(*text);
    } else {
      figures.push_back(nullptr);
    }
  }
  return {row.point,  row.configuration, row.settings, row.policy,
          row.status, row.reason,        figures,      row.result};
}

sim::PointRow row_of(const Json& json) {
  sim::PointRow row{.point = json[0].get<std::int64_t>(),
                    .configuration = json[1].get<std::int64_t>(),
                    .settings = json[2].get<std::string>(),
                    .policy = json[3].get<std::string>(),
                    .status = json[4].get<std::string>(),
                    .reason = json[5].get<std::string>(),
                    .figures = {},
                    .result = json[7].get<std::string>()};
  for (const Json& value : json[6]) {
    if (value.is_number_integer()) {
      row.figures.emplace_back(value.get<std::int64_t>());
    } else if (value.is_number()) {
      row.figures.emplace_back(value.get<double>());
    } else if (value.is_string()) {
      row.figures.emplace_back(value.get<std::string>());
    } else {
      row.figures.emplace_back();
    }
  }
  return row;
}

void send(const Bytes8& bytes, int rank, Tag tag) {
  MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, rank, tag, MPI_COMM_WORLD);
}

Bytes8 receive(const MPI_Status& found) {
  int size = 0;
  MPI_Get_count(&found, MPI_BYTE, &size);
  Bytes8 bytes(static_cast<std::size_t>(size));
  MPI_Recv(bytes.data(), size, MPI_BYTE, found.MPI_SOURCE, found.MPI_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  return bytes;
}

/// From rank `root` to all.
std::string broadcast(std::string text, int root) {
  auto size = static_cast<int>(text.size());
  MPI_Bcast(&size, 1, MPI_INT, root, MPI_COMM_WORLD);
  text.resize(static_cast<std::size_t>(size));
  MPI_Bcast(text.data(), size, MPI_BYTE, root, MPI_COMM_WORLD);
  return text;
}

class MpiRanks final : public Ranks {
 public:
  explicit MpiRanks(int level) : is_serialized_(level >= MPI_THREAD_SERIALIZED) {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    // Who writes to a rank that is gone goes on without it.
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  }
  ~MpiRanks() override {
    // A lost rank would be waited for for ever.
    if (is_complete_) MPI_Finalize();
  }
  MpiRanks(const MpiRanks&) = delete;
  MpiRanks& operator=(const MpiRanks&) = delete;

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int threads_of_all() const override { return threads_of_all_; }

  std::optional<Fault> meet(const std::string& fault, const std::string& plan, int threads) override {
    const std::string first_plan = broadcast(plan, 0);
    std::string own = fault;
    if (own.empty() && plan != first_plan)
      own = "its files or its program are not those of rank 0: the sweep would be another one";
    const int mine = own.empty() ? size_ : rank_;
    int first = size_;
    MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    const int used = is_serialized_ ? threads : 1;
    threads_of_.resize(static_cast<std::size_t>(size_));
    MPI_Allgather(&used, 1, MPI_INT, threads_of_.data(), 1, MPI_INT, MPI_COMM_WORLD);
    for (const int each : threads_of_) threads_of_all_ += each;
    if (first == size_) return std::nullopt;
    return Fault{first, broadcast(own, first)};
  }

  bool serve(TaskBoard& board, const std::function<void(sim::PointRow)>& emit) override {
    bool any = false;
    MPI_Status status;
    for (int found = probe(status); found != 0; found = probe(status)) {
      any = true;
      const Bytes8 bytes = receive(status);
      if (status.MPI_TAG == tag_fault) {
        --threads_of_[static_cast<std::size_t>(status.MPI_SOURCE)];  // that thread has ended
        throw std::runtime_error(std::string(bytes.begin(), bytes.end()));
      }
      if (status.MPI_TAG == tag_rows) {
        take_rows(bytes, board, emit);
      } else {
        answer(status.MPI_SOURCE, board);
      }
    }
    return any;
  }

  void dismiss() override {
    const auto until = std::chrono::steady_clock::now() + patience_at_end;
    is_complete_ = false;
    while (std::chrono::steady_clock::now() < until) {
      is_complete_ = true;
      for (std::size_t i = 1; i < threads_of_.size(); ++i) is_complete_ = is_complete_ && threads_of_[i] == 0;
      if (is_complete_) return;
      MPI_Status status;
      if (probe(status) == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      receive(status);  // rows that another one has sent as well
      if (status.MPI_TAG == tag_request) send_task(status.MPI_SOURCE, {nothing_left});
      if (status.MPI_TAG == tag_fault) --threads_of_[static_cast<std::size_t>(status.MPI_SOURCE)];
    }
  }

  void work(SweepRunner& runner, int threads) override {
    std::vector<std::jthread> others;
    for (int i = 1; i < (is_serialized_ ? threads : 1); ++i)
      others.emplace_back([this, &runner] { work_alone(runner); });
    work_alone(runner);
  }

 private:
  static int probe(MPI_Status& status) {
    int found = 0;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &found, &status);
    return found;
  }

  void take_rows(const Bytes8& bytes, TaskBoard& board, const std::function<void(sim::PointRow)>& emit) {
    const Json message = Json::from_cbor(bytes);
    for (const Json& row : message.at("rows")) emit(row_of(row));
    if (message.at("ends").get<bool>()) board.done(message.at("task").get<std::size_t>());
  }

  void send_task(int rank, const std::vector<std::int64_t>& numbers) {
    if (numbers.front() == nothing_left) --threads_of_[static_cast<std::size_t>(rank)];
    MPI_Send(numbers.data(), static_cast<int>(numbers.size()), MPI_INT64_T, rank, tag_task, MPI_COMM_WORLD);
  }
  void answer(int rank, TaskBoard& board) {
    const std::optional<std::size_t> number = board.take();
    if (!number) return send_task(rank, {board.are_done() ? nothing_left : nothing_now});
    const SweepTask& task = board.task(*number);
    std::vector<std::int64_t> numbers{static_cast<std::int64_t>(*number), task.workload};
    numbers.insert(numbers.end(), task.points.begin(), task.points.end());
    send_task(rank, numbers);
  }

  /// Asks for a task.
  std::vector<std::int64_t> ask() {
    const std::lock_guard lock(mutex_);
    send({}, 0, tag_request);
    MPI_Status status;
    MPI_Probe(0, tag_task, MPI_COMM_WORLD, &status);
    int size = 0;
    MPI_Get_count(&status, MPI_INT64_T, &size);
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(size));
    MPI_Recv(numbers.data(), size, MPI_INT64_T, 0, tag_task, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (numbers.empty()) numbers.push_back(nothing_left);  // rank 0 is gone
    return numbers;
  }
  void send_rows(std::int64_t task, Json& rows, bool ends) {
    const Json message{{"task", task}, {"rows", std::exchange(rows, Json::array())}, {"ends", ends}};
    const std::lock_guard lock(mutex_);
    send(Json::to_cbor(message), 0, tag_rows);
  }

  void work_alone(SweepRunner& runner) {
    for (;;) {
      const std::vector<std::int64_t> numbers = ask();
      if (numbers.front() == nothing_left) return;
      if (numbers.front() == nothing_now) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        continue;
      }
      const SweepTask task{static_cast<int>(numbers[1]), {numbers.begin() + 2, numbers.end()}};
      Json rows = Json::array();
      try {
        runner.run(
            task,
            [&](const sim::PointRow& row) {
              rows.push_back(json_of(row));
              if (rows.size() >= rows_a_message) send_rows(numbers[0], rows, false);
            },
            [] { return false; });
        send_rows(numbers[0], rows, true);
      } catch (const std::exception& error) {
        const std::string what = error.what();
        const std::lock_guard lock(mutex_);
        send({what.begin(), what.end()}, 0, tag_fault);
        return;
      }
    }
  }

  bool is_serialized_;
  int rank_ = 0, size_ = 1;
  std::vector<int> threads_of_;  // by rank: that have not been told that nothing is left
  int threads_of_all_ = 0;
  bool is_complete_ = true;
  std::mutex mutex_;  // of the others: one thread at a time
};

/// Whether a launcher of MPI started this program: to ask MPI itself takes long where none did.
bool is_launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

}  // namespace

std::unique_ptr<Ranks> join_mpi_ranks() {
  if (!is_launched()) return nullptr;
  int level = MPI_THREAD_SINGLE, size = 1;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size > 1) return std::make_unique<MpiRanks>(level);
  MPI_Finalize();
  return nullptr;
}

}  // namespace pregate::cli
