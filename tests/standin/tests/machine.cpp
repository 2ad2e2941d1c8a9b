// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/tests/machine.hpp"

#include <stdexcept>

#include "tests/standin/ptx/parser.hpp"

namespace pregate::standin::ptx {
namespace {

std::string type_of(int bits) { return bits == 1 ? "pred" : "b" + std::to_string(bits); }

}  // namespace

std::uintptr_t Machine::allocate(std::vector<std::uint8_t> bytes) {
  const std::uintptr_t address = 0x10000000U + 0x1000000U * memory_.size();
  memory_[address] = std::move(bytes);
  return address;
}

Resolved Machine::resolve(std::uintptr_t address, std::size_t size, bool /*write*/) {
  auto after = memory_.upper_bound(address);
  if (after == memory_.begin()) return {nullptr, "bounds", "nothing there"};
  auto& [base, bytes] = *std::prev(after);
  if (address + size > base + bytes.size()) return {nullptr, "bounds", "outside"};
  return {std::as_writable_bytes(std::span(bytes)).data() + (address - base), "", ""};
}

void Machine::report(const char* kind, const std::string& text) {
  kinds.emplace_back(kind);
  texts.push_back(text);
}

std::uint32_t Machine::random() {
  random_ = random_ * 1664525U + 1013904223U;
  return random_ >> 8;
}

void Machine::run(const std::string& ptx, Extent grid, Extent block,
                  const std::vector<std::uint64_t>& parameters, std::size_t dynamic_shared) {
  const auto module = parse(ptx);
  if (!module->static_data.empty()) module->static_base = allocate(module->static_data);
  const Kernel& program = module->kernels.begin()->second;
  if (!program.unsupported.empty()) throw std::runtime_error("unsupported " + program.unsupported);
  Launch launch;
  launch.module = module.get();
  launch.kernel = &program;
  launch.grid = grid;
  launch.block = block;
  launch.dynamic_shared = dynamic_shared;
  launch.parameters.resize(program.parameter_bytes);
  if (parameters.size() * 8 != launch.parameters.size()) throw std::runtime_error("parameter count");
  std::memcpy(launch.parameters.data(), parameters.data(), launch.parameters.size());
  LaunchState state;
  state.launch = &launch;
  state.environment = this;
  try {
    run_launch(state);
  } catch (const KernelFault&) {
    if (kinds.empty()) throw;  // a fault is always reported first
  }
  touched = state.touched.take();
}

std::string kernel(const std::string& body, int parameters) {
  std::string text = ".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k(";
  std::string loads;
  for (int i = 0; i < parameters; ++i) {
    const std::string n = std::to_string(i);
    text += std::string(i == 0 ? "" : ", ") + ".param .u64 p" + n;
    loads += ".reg .b64 %p" + n + "; ld.param.u64 %p" + n + ", [p" + n + "];\n";
  }
  return text + ")\n{\n" + loads + ".reg .b32 %tid, %lane; mov.u32 %tid, %tid.x; mov.u32 %lane, %laneid;\n" +
         body + "\nret;\n}\n";
}

void PrintTo(const Value& value, std::ostream* out) {
  *out << std::hex << "0x" << value.value << std::dec << " (" << value.bits << " bits)";
}

Value result(const std::string& instruction, int bits, const std::vector<Value>& sources) {
  Machine machine;
  std::vector<std::uint64_t> inputs;
  std::string body = ".reg .b32 %t; .reg ." + type_of(bits) + " %d;\n";
  std::string operands = " %d";
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::string name(1, static_cast<char>('a' + i) == 'd' ? 'e' : static_cast<char>('a' + i));
    const std::string from = "[%p0+" + std::to_string(8 * i) + "]";
    body += ".reg ." + type_of(sources[i].bits) + " %" + name + ";\n";
    if (sources[i].bits == 1) {
      body += "ld.global.u32 %t, " + from + "; setp.ne.u32 %" + name + ", %t, 0;\n";
    } else {
      body += "ld.global." + type_of(sources[i].bits) + " %" + name + ", " + from + ";\n";
    }
    operands += ", %" + name;
    inputs.push_back(sources[i].value);
  }
  body += instruction.find('%') == std::string::npos ? instruction + operands + ";\n" : instruction + "\n";
  body += bits == 1 ? "selp.u32 %t, 1, 0, %d; st.global.u32 [%p1], %t;\n"
                    : "st.global." + type_of(bits) + " [%p1], %d;\n";
  inputs.push_back(0);
  const std::uintptr_t in = machine.allocate_array(inputs);
  const std::uintptr_t out = machine.allocate_array(std::vector<std::uint64_t>{0});
  machine.run(kernel(body, 2), {}, {}, {in, out});
  if (!machine.kinds.empty()) throw std::runtime_error(machine.texts.front());
  return {bits, machine.array<std::uint64_t>(out).front()};
}

}  // namespace pregate::standin::ptx
