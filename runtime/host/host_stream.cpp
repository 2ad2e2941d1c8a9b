// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host/host_stream.hpp"

#include <cstring>
#include <stdexcept>
#include <utility>

#include "kernels/reference.hpp"
#include "runtime/host/host_event.hpp"

namespace pregate::runtime {

namespace {

void run_kernel(const kernels::OrderArgs& args) { kernels::reference::order(args); }
template <class Element>
void run_kernel(const kernels::RouterArgs<Element>& args) {
  kernels::reference::router(args);
}
template <class Element>
void run_kernel(const kernels::PermuteArgs<Element>& args) {
  kernels::reference::permute(args);
}
template <class Element>
void run_kernel(const kernels::ActivationArgs<Element>& args) {
  kernels::reference::activation(args);
}
template <class Element>
void run_kernel(const kernels::CombineArgs<Element>& args) {
  kernels::reference::combine(args);
}
template <class Element>
void run_kernel(const kernels::RmsNormArgs<Element>& args) {
  kernels::reference::rms_norm(args);
}
template <class Element>
void run_kernel(const kernels::AttentionArgs<Element>& args) {
  kernels::reference::attention(args);
}
template <class Element>
void run_kernel(const kernels::DequantizeArgs<Element>& args) {
  kernels::reference::dequantize(args);
}

}  // namespace

void HostStream::record(Event& event) {
  worker_.run_always([record = static_cast<HostEvent&>(event).begin_record()] { record->reach(); });
}

void HostStream::wait(const Event& event) {
  auto record = static_cast<const HostEvent&>(event).latest;
  if (!record) throw std::logic_error("a stream waits for an event that was never recorded");
  worker_.run_before_next([record = std::move(record), spins = worker_.spins()] { record->wait(spins); });
}

void HostStream::synchronize() {
  auto end = std::make_shared<HostRecord>();
  worker_.run_always([end] { end->reach(); });
  end->wait(0);
  worker_.rethrow();
}

void HostStream::copy(std::byte* to, const std::byte* from, Bytes to_size, Bytes from_size) {
  if (to_size != from_size) throw std::invalid_argument("a copy between ranges of different size");
  worker_.run([=, size = static_cast<std::size_t>(to_size.count)] { std::memcpy(to, from, size); });
}

void HostStream::copy_to_device(DeviceSpan to, PageLockedSpan from) {
  copy(to.data(), from.data(), to.size(), from.size());
}
void HostStream::read_to_device(DeviceSpan to, const DirectFile& from, Bytes at) {
  if (!reader_) reader_ = std::make_unique<DirectReader>();
  worker_.run([=, reader = reader_.get(), file = &from] {
    reader->read(*file, at, {to.data(), static_cast<std::size_t>(to.size().count)});
  });
}
void HostStream::copy_to_host(PageLockedSpan to, DeviceSpan from) {
  copy(to.data(), from.data(), to.size(), from.size());
}
void HostStream::copy_on_device(DeviceSpan to, DeviceSpan from) {
  copy(to.data(), from.data(), to.size(), from.size());
}

void HostStream::copy_from_peer(DeviceSpan to, const Device&, DeviceSpan from) {
  copy(to.data(), from.data(), to.size(), from.size());
}

void HostStream::fill_zero(DeviceSpan what) {
  worker_.run([=] { std::memset(what.data(), 0, static_cast<std::size_t>(what.size().count)); });
}

void HostStream::gemm(const Gemm& gemm) {
  if (gemm.type != ElementType::f32 || gemm.result != ElementType::f32)
    throw std::invalid_argument("the host device multiplies in fp32 only");
  if (gemm.rows <= 0) return;
  worker_.run([gemm, multiply = blas_.multiply] { multiply(gemm); });
}

void HostStream::launch(const KernelArgs& args) {
  std::visit([this](const auto& a) { worker_.run([a] { run_kernel(a); }); }, args);
}

void HostStream::call(std::function<void()> work) {
  worker_.run([work = std::move(work)] { work(); });
}

}  // namespace pregate::runtime
