// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/kernels.hpp"

#include <cstring>
#include <mutex>
#include <stdexcept>

#include "tests/standin/ptx/block.hpp"
#include "tests/standin/ptx/parser.hpp"
#include "tests/standin/runtime/fat_binary.hpp"

namespace pregate::standin {
namespace {

constexpr std::size_t shared_limit = 227 << 10;  // bytes a block, as on compute capability 9.0

class DeviceEnvironment : public ptx::Environment {
 public:
  DeviceEnvironment(Memory& memory, Engine& engine, Reports& reports, int device)
      : memory_(memory), engine_(engine), reports_(reports), device_(device) {}

  ptx::Resolved resolve(std::uintptr_t address, std::size_t size, bool write) override {
    return memory_.resolve(address, size, write, device_);
  }
  void report(const char* kind, const std::string& text) override { reports_.add(kind, text); }
  std::uint32_t random() override { return engine_.random(); }

 private:
  Memory& memory_;
  Engine& engine_;
  Reports& reports_;
  int device_;
};

ptx::Extent extent_of(const dim3& size) { return {size.x, size.y, size.z}; }

/// The limits of compute capability 9.0.
bool is_valid(const LaunchShape& shape) {
  const ptx::Extent block = extent_of(shape.block);
  const ptx::Extent grid = extent_of(shape.grid);
  return block.count() > 0 && block.count() <= 1024 && block.x <= 1024 && block.y <= 1024 && block.z <= 64 &&
         grid.count() > 0 && grid.x <= 0x7fffffffU && grid.y <= 65535 && grid.z <= 65535 &&
         grid.count() <= 0xffffffffU;
}

}  // namespace

LoadedModule* Kernels::add_module(const void* wrapper) {
  auto module = std::make_unique<LoadedModule>();
  module->wrapper = wrapper;
  return module.release();  // lives as long as the program: kernels may be launched until its very end
}

void Kernels::add_kernel(LoadedModule* module, const void* host, const char* name) {
  const std::lock_guard guard(lock_);
  RegisteredKernel& kernel = kernels_[host];
  kernel.module = module;
  kernel.name = name;
}

void Kernels::add_variable(LoadedModule* module, const void* host, const char* name) {
  const std::lock_guard guard(lock_);
  variables_[host] = {module, name};
}

RegisteredKernel* Kernels::find(const void* host) {
  const std::lock_guard guard(lock_);
  const auto found = kernels_.find(host);
  return found == kernels_.end() ? nullptr : &found->second;
}

Symbol Kernels::find_symbol(const void* host) {
  const std::lock_guard guard(lock_);
  const auto found = variables_.find(host);
  if (found == variables_.end() || !load(*found->second.module)) return {};
  const ptx::Module& module = *found->second.module->module;
  const auto variable = module.variables.find(found->second.name);
  if (variable == module.variables.end()) return {};
  return {module.static_base + variable->second.offset, variable->second.size};
}

bool Kernels::load(LoadedModule& loaded) {
  if (loaded.tried) return loaded.module != nullptr;
  loaded.tried = true;
  try {
    loaded.module = ptx::parse(ptx_of_fat_binary(loaded.wrapper));
  } catch (const std::runtime_error& error) {
    loaded.problem = error.what();
    return false;
  }
  const auto& data = loaded.module->static_data;
  if (data.empty()) return true;
  const auto base = memory_.allocate_device(data.size(), MemoryKind::module);
  if (!base) {
    loaded.problem = "no memory for the module's variables";
    loaded.module.reset();
    return false;
  }
  loaded.module->static_base = *base;
  std::memcpy(memory_.resolve(*base, data.size(), /*write=*/true).data, data.data(), data.size());
  return true;
}

const ptx::Kernel* Kernels::program_of(RegisteredKernel& kernel) {
  const std::lock_guard guard(lock_);
  if (!load(*kernel.module)) {
    reports_.add("unsupported", "kernel " + kernel.name + ": " + kernel.module->problem);
    return nullptr;
  }
  const auto found = kernel.module->module->kernels.find(kernel.name);
  if (found == kernel.module->module->kernels.end()) {
    reports_.add("unsupported", "kernel " + kernel.name + " is not in the embedded PTX");
    return nullptr;
  }
  if (!found->second.unsupported.empty()) {
    reports_.add("unsupported", "kernel " + kernel.name + ": " + found->second.unsupported);
    return nullptr;
  }
  return &found->second;
}

cudaError_t Kernels::launch(RegisteredKernel& kernel, const LaunchShape& shape, void** arguments,
                            CUstream_st* stream) {
  const ptx::Kernel* program = program_of(kernel);
  if (program == nullptr) return cudaErrorNoKernelImageForDevice;
  if (!is_valid(shape)) return cudaErrorInvalidConfiguration;
  const std::size_t shared = program->shared_bytes + shape.dynamic_shared;
  if (shape.dynamic_shared > static_cast<std::size_t>(kernel.dynamic_shared_limit) || shared > shared_limit) {
    return cudaErrorInvalidValue;
  }
  auto launch = std::make_shared<ptx::Launch>();
  launch->module = kernel.module->module.get();
  launch->kernel = program;
  launch->grid = extent_of(shape.grid);
  launch->block = extent_of(shape.block);
  launch->dynamic_shared = shape.dynamic_shared;
  launch->parameters.resize(program->parameter_bytes);
  for (std::size_t i = 0; i < program->parameters.size(); ++i) {
    const ptx::Placement& place = program->parameters[i];
    if (arguments == nullptr || arguments[i] == nullptr) return cudaErrorInvalidValue;
    std::memcpy(&launch->parameters[place.offset], arguments[i], place.size);
  }
  Request request;
  request.kind = OperationKind::kernel;
  request.name = kernel.name;
  request.duration_us = engine_.timeline().kernel_duration_us();
  request.work = [this, launch, device = stream->device] {
    DeviceEnvironment environment(memory_, engine_, reports_, device);
    ptx::LaunchState state;
    state.launch = launch.get();
    state.environment = &environment;
    state.check_global_races = check_grid_races_;
    ptx::run_launch(state);
    return state.touched.take();
  };
  engine_.submit(stream, std::move(request));
  return cudaSuccess;
}

}  // namespace pregate::standin
