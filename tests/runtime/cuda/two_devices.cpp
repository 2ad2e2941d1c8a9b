// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
/// A MoE layer under expert parallelism on two CUDA devices: each has half of the experts and half of the
/// tokens. A device's rows go to where their experts are by copies between the devices, are computed there,
/// come back, and are added with their gate weights. Arguments: rounds, and optionally the number of a wait
/// to leave out. The exit status is that of small_run.hpp.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "runtime/device.hpp"
#include "runtime/reference_model.hpp"
#include "tests/runtime/cuda/small_run.hpp"

namespace {

using namespace pregate;
using namespace pregate::runtime;
using namespace pregate::runtime::test;

constexpr int devices = 2, experts_each = 2, experts = devices * experts_each, width = 32, rows = 3,
              top_k = 2;

/// One of a token's experts. Token t of device d is row t of its input.
struct Choice {
  int device, token, expert;
  float weight;
};
int home_of(int expert) { return expert / experts_each; }

constexpr Bytes bytes_of(int floats) { return {std::int64_t{4} * floats}; }
float* floats(std::byte* data) { return reinterpret_cast<float*>(data); }

/// Counts the waits between streams, and leaves one out.
class Waits {
 public:
  explicit Waits(int dropped) : dropped_(dropped) {}
  void wait(Stream& stream, const Event& event) {
    if (next_++ != dropped_) stream.wait(event);
  }
  [[nodiscard]] int count() const { return next_; }

 private:
  int dropped_, next_ = 0;
};

/// What a device has.
struct Part {
  explicit Part(int index)
      : device(open_device("cuda", {.memory = {}, .compute_threads = 0, .cpu_threads = 0, .index = index})),
        input(device->allocate(bytes_of(rows * width), "input")),
        output(device->allocate(bytes_of(rows * width), "output")),
        weights(device->allocate(bytes_of(experts_each * width * width), "experts")),
        visiting(device->allocate(bytes_of(devices * rows * width * experts_each), "rows of all devices")),
        computed(device->allocate(bytes_of(devices * rows * width * experts_each), "their results")),
        returned(device->allocate(bytes_of(rows * top_k * width), "results of own rows")),
        host_input(device->allocate_page_locked(bytes_of(rows * width), "input")),
        host_output(device->allocate_page_locked(bytes_of(rows * width), "output")),
        host_weights(device->allocate_page_locked(bytes_of(experts_each * width * width), "experts")),
        host_scales(device->allocate_page_locked(bytes_of(rows * top_k * width * width), "gate weights")),
        scales(device->allocate(bytes_of(rows * top_k * width * width), "gate weights")),
        exchange(device->make_stream("exchange")),
        compute(device->make_stream("compute")),
        arrived(device->make_event()),
        is_computed(device->make_event()),
        has_come_back(device->make_event()) {}

  std::unique_ptr<Device> device;
  DeviceMemory input, output, weights, visiting, computed, returned;
  PageLockedMemory host_input, host_output, host_weights, host_scales;
  DeviceMemory scales;
  std::unique_ptr<Stream> exchange, compute;
  std::unique_ptr<Event> arrived, is_computed, has_come_back;
};

DeviceSpan row(const DeviceMemory& memory, int number) {
  return memory.span().part(bytes_of(number * width), bytes_of(width));
}

/// Of an expert: where the rows of a device's token lie at its home.
int place_of(const Choice& choice) {
  return ((choice.expert % experts_each) * devices + choice.device) * rows + choice.token;
}

class SharedLayer {
 public:
  SharedLayer(int rounds, int dropped) : rounds_(rounds), waits_(dropped) {
    for (int i = 0; i < devices; ++i) parts_[static_cast<std::size_t>(i)] = std::make_unique<Part>(i);
    for (const int i : {0, 1}) part(i).device->reach(*part(1 - i).device);
    std::mt19937 random(1);
    const auto value = [&] { return static_cast<float>(static_cast<int>(random() % 64) - 32) / 32; };
    for (int i = 0; i < devices; ++i) {
      for (int j = 0; j < rows * width; ++j) floats(part(i).host_input.span().data())[j] = value();
      for (int j = 0; j < experts_each * width * width; ++j)
        floats(part(i).host_weights.span().data())[j] = value();
      std::memset(part(i).host_scales.span().data(), 0,
                  static_cast<std::size_t>(part(i).host_scales.size().count));
      // Each token of both devices has an expert of either, so that both do the same work.
      for (int token = 0; token < rows; ++token) {
        for (int k = 0; k < top_k; ++k) {
          const int expert = (k * experts_each + static_cast<int>(random() % experts_each)) % experts;
          choices_.push_back({i, token, expert, k == 0 ? 0.75F : 0.25F});
          // Multiplying by a diagonal scales a row; it is how the layer weighs with products alone.
          float* const diagonal =
              floats(part(i).host_scales.span().data()) + (token * top_k + k) * width * width;
          for (int j = 0; j < width; ++j) diagonal[j * width + j] = choices_.back().weight;
        }
      }
    }
  }

  void run() {
    for (const auto& part : parts_) {
      part->compute->copy_to_device(part->weights.span(), part->host_weights.span());
      part->compute->copy_to_device(part->scales.span(), part->host_scales.span());
    }
    for (int round = 0; round < rounds_; ++round) run_round();
    for (const auto& part : parts_) {
      part->compute->copy_to_host(part->host_output.span(), part->output.span());
      part->exchange->synchronize();
      part->compute->synchronize();
    }
  }
  [[nodiscard]] int waits() const { return waits_.count(); }

  /// Of all rows of both devices.
  [[nodiscard]] double error() const {
    std::vector<double> expected(static_cast<std::size_t>(devices * rows * width)), got;
    for (const Choice& choice : choices_) {
      const float* const input = floats(part(choice.device).host_input.span().data()) + choice.token * width;
      const float* const matrix = floats(part(home_of(choice.expert)).host_weights.span().data()) +
                                  (choice.expert % experts_each) * width * width;
      for (int i = 0; i < width; ++i) {
        double sum = 0;
        for (int j = 0; j < width; ++j)
          sum += static_cast<double>(matrix[i * width + j]) * static_cast<double>(input[j]);
        expected[static_cast<std::size_t>((choice.device * rows + choice.token) * width + i)] +=
            static_cast<double>(choice.weight) * sum;
      }
    }
    for (const auto& each : parts_)
      for (int i = 0; i < rows * width; ++i)
        got.push_back(static_cast<double>(floats(each->host_output.span().data())[i]));
    return relative_error(got, expected);
  }

 private:
  [[nodiscard]] Part& part(int device) const { return *parts_[static_cast<std::size_t>(device)]; }

  /// As all-to-all, products, all-to-all and sum: an exchange stream each pulls rows, the compute stream
  /// works.
  void run_round() {
    for (int to = 0; to < devices; ++to) {  // inputs, as new in every round
      Part& own = part(to);
      if (own_rounds_ > 0)
        waits_.wait(*own.compute, *part(1 - to).arrived);  // it has read the input of before
      own.compute->copy_to_device(own.input.span(), own.host_input.span());
      own.compute->record(*own.is_computed);
    }
    for (int to = 0; to < devices; ++to) {  // dispatch
      Part& own = part(to);
      for (const int from : {0, 1}) waits_.wait(*own.exchange, *part(from).is_computed);
      for (const Choice& choice : choices_) {
        if (home_of(choice.expert) != to) continue;
        const DeviceSpan there = row(own.visiting, place_of(choice)),
                         here = row(part(choice.device).input, choice.token);
        if (choice.device == to) {
          own.exchange->copy_on_device(there, here);
        } else {
          own.exchange->copy_from_peer(there, *part(choice.device).device, here);
        }
      }
      own.exchange->record(*own.arrived);
    }
    for (int to = 0; to < devices; ++to) {  // experts
      Part& own = part(to);
      waits_.wait(*own.compute, *own.arrived);
      if (own_rounds_ > 0)
        waits_.wait(*own.compute, *part(1 - to).has_come_back);  // results of before were fetched
      for (const Choice& choice : choices_) {
        if (home_of(choice.expert) != to) continue;
        own.compute->gemm(
            {.rows = 1,
             .columns = width,
             .inner = width,
             .a = row(own.visiting, place_of(choice)).data(),
             .b = own.weights.span()
                      .part(bytes_of(choice.expert % experts_each * width * width), bytes_of(width * width))
                      .data(),
             .c = row(own.computed, place_of(choice)).data()});
      }
      own.compute->record(*own.is_computed);
    }
    for (int to = 0; to < devices; ++to) {  // back, and the sum
      Part& own = part(to);
      for (const int from : {0, 1}) waits_.wait(*own.exchange, *part(from).is_computed);
      int number = 0;
      for (const Choice& choice : choices_) {
        if (choice.device != to) continue;
        const int home = home_of(choice.expert);
        const DeviceSpan here = row(own.returned, number++),
                         there = row(part(home).computed, place_of(choice));
        if (home == to) {
          own.exchange->copy_on_device(here, there);
        } else {
          own.exchange->copy_from_peer(here, *part(home).device, there);
        }
      }
      own.exchange->record(*own.has_come_back);
      waits_.wait(*own.compute, *own.has_come_back);
      for (int token = 0; token < rows; ++token) {
        for (int k = 0; k < top_k; ++k) {
          const int of = token * top_k + k;
          own.compute->gemm(
              {.rows = 1,
               .columns = width,
               .inner = width,
               .a = row(own.returned, of).data(),
               .b = own.scales.span().part(bytes_of(of * width * width), bytes_of(width * width)).data(),
               .c = row(own.output, token).data(),
               .beta = k == 0 ? 0.0F : 1.0F});
        }
      }
    }
    ++own_rounds_;
  }

  int rounds_, own_rounds_ = 0;
  Waits waits_;
  std::array<std::unique_ptr<Part>, devices> parts_;
  std::vector<Choice> choices_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return usage;
  try {
    SharedLayer layer(std::atoi(arguments[1]), count > 2 ? std::atoi(arguments[2]) : -1);
    layer.run();
    std::fprintf(stderr, "waits: %d\n", layer.waits());
    if (layer.error() < 1e-6) return outputs_right;
    std::fprintf(stderr, "the outputs are off by %g\n", layer.error());
    return outputs_wrong;
  } catch (const OutOfMemory& error) {
    std::fprintf(stderr, "out of memory: %s\n", error.what());
    return out_of_memory_said;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error_said;
  }
}
