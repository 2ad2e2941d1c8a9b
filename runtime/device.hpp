// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "kernels/arguments.hpp"
#include "kernels/element.hpp"
#include "runtime/device_error.hpp"
#include "runtime/memory.hpp"

namespace pregate::runtime {

enum class ElementType { f32, f16, bf16 };

class Device;
class DirectFile;

/// Arguments of any kernel of kernels/; they choose the kernel.
using KernelArgs = std::variant<kernels::RouterArgs<float>, kernels::OrderArgs,                             //
                                kernels::PermuteArgs<float>, kernels::PermuteArgs<kernels::Float16>,        //
                                kernels::PermuteArgs<kernels::BFloat16>,                                    //
                                kernels::ActivationArgs<float>, kernels::ActivationArgs<kernels::Float16>,  //
                                kernels::ActivationArgs<kernels::BFloat16>,                                 //
                                kernels::CombineArgs<float>, kernels::CombineArgs<kernels::Float16>,        //
                                kernels::CombineArgs<kernels::BFloat16>,                                    //
                                kernels::RmsNormArgs<float>, kernels::RmsNormArgs<kernels::Float16>,        //
                                kernels::RmsNormArgs<kernels::BFloat16>,                                    //
                                kernels::AttentionArgs<float>, kernels::AttentionArgs<kernels::Float16>,    //
                                kernels::AttentionArgs<kernels::BFloat16>,                                  //
                                kernels::DequantizeArgs<float>, kernels::DequantizeArgs<kernels::Float16>,  //
                                kernels::DequantizeArgs<kernels::BFloat16>>;

/// A point in a stream. Waiting and asking concern its latest record, as in CUDA.
class Event {
 public:
  virtual ~Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

 protected:
  Event() = default;
};

/// C[rows x columns] = A[rows x inner] * B^T + beta * C, all row-major, B as [columns x inner] (a linear
/// layer's weights, output by input). fp16 and bf16 accumulate in fp32; fp32 is never rounded to TF32.
struct Gemm {
  int rows = 0, columns = 0, inner = 0;
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
  int c_stride = 0;  ///< elements between rows of c; 0 = columns
  float beta = 0;
  ElementType type = ElementType::f32;    ///< of a and b
  ElementType result = ElementType::f32;  ///< of c: `type` or fp32
};

/// Runs what it is given in order, beside other streams and the host. Every call returns at once; arguments
/// must stay valid until the operation has run. Sizes that do not agree are std::invalid_argument. Failures
/// that come later are thrown by the next call that waits.
class Stream {
 public:
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  virtual void record(Event& event) = 0;
  /// What is issued after this starts only when the event's latest record has been reached. An event never
  /// recorded is a std::logic_error: it would order nothing.
  virtual void wait(const Event& event) = 0;
  /// The host waits until all that was issued has run.
  virtual void synchronize() = 0;

  virtual void copy_to_device(DeviceSpan to, PageLockedSpan from) = 0;
  /// Fills `to` from a file, from a byte on. std::logic_error where DeviceInfo::reads_files is false. The
  /// file must outlive it.
  virtual void read_to_device(DeviceSpan, const DirectFile&, Bytes) {
    throw std::logic_error("a stream of a device that reads no files was given one");
  }
  virtual void copy_to_host(PageLockedSpan to, DeviceSpan from) = 0;
  virtual void copy_on_device(DeviceSpan to, DeviceSpan from) = 0;
  /// From the memory of `other`, a device of the same kind, to this one's. std::logic_error where a kind of
  /// device does not do that.
  virtual void copy_from_peer(DeviceSpan, const Device&, DeviceSpan) {
    throw std::logic_error("a stream of a device that copies from no other was given such a copy");
  }
  virtual void fill_zero(DeviceSpan what) = 0;

  virtual void gemm(const Gemm& gemm) = 0;
  virtual void launch(const KernelArgs& args) = 0;
  /// Runs `work` on a thread of the host when its turn comes: it may touch host memory and must not call the
  /// device. What it throws is thrown by synchronize(), and then nothing that was issued later is certain.
  virtual void call(std::function<void()> work) = 0;

 protected:
  Stream() = default;
};

struct DeviceInfo {
  std::string kind;                ///< "host" or "cuda"
  std::string name;                ///< of the processor
  std::string software;            ///< driver and library versions
  std::string clocks;              ///< as far as the device tells; empty otherwise
  Bytes memory;                    ///< the budget: what allocate() gives out at most
  int compute_units = 0;           ///< SMs, or threads of the compute stream
  std::vector<ElementType> types;  ///< that it computes in
  bool reads_files = false;        ///< whether its streams can read_to_device()
  std::vector<int> cpu_cores;      ///< on which the host computes experts beside it; none: any one
};

/// One processor with memory of its own. Streams, events and memory must be destroyed before it.
class Device {
 public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  [[nodiscard]] virtual const DeviceInfo& info() const = 0;
  /// `name` is for people and timelines.
  virtual std::unique_ptr<Stream> make_stream(const std::string& name) = 0;
  virtual std::unique_ptr<Event> make_event() = 0;
  /// 256-byte aligned, contents undefined. Throws OutOfMemory; `purpose` is for its text.
  virtual DeviceMemory allocate(Bytes size, const std::string& purpose) = 0;
  virtual PageLockedMemory allocate_page_locked(Bytes size, const std::string& purpose) = 0;

  /// Lets copies between this device and `other` go straight from one memory to the other. False where the
  /// hardware has no such way, and they pass through the host.
  virtual bool reach(Device&) { return false; }

  /// Whether the latest record has been reached; true of an event never recorded.
  [[nodiscard]] virtual bool is_done(const Event& event) = 0;
  virtual void synchronize(const Event& event) = 0;
  /// Between the latest records, both reached.
  [[nodiscard]] virtual Picoseconds elapsed(const Event& from, const Event& to) = 0;

 protected:
  Device() = default;
};

struct DeviceOptions {
  Bytes memory;             ///< budget; 0 = what the device has
  int compute_threads = 0;  ///< host device: of the compute stream; 0 = all cores that are left
  /// Cores for what the host computes beside the device. 0 = host device: none of its own, it shares those of
  /// copies; others: all but one.
  int cpu_threads = 0;
  int index = 0;  ///< cuda: which of those that are visible
};

/// "host" or "cuda"; several may be open at a time. InputError for a name that is not known, a device that
/// this build or machine lacks, or a budget beyond it.
std::unique_ptr<Device> open_device(const std::string& name, const DeviceOptions& options);
/// Whether a CUDA device answers; `reason` says why not.
bool cuda_available(std::string& reason);

}  // namespace pregate::runtime
