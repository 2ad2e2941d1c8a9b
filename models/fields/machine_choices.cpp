// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the parts of a machine are called: here and nowhere else.
#include <array>

#include "models/fields/choices.hpp"

namespace pregate {
namespace {

constexpr std::array<Choice<GpuArchitecture>, 7> architectures{{
    {GpuArchitecture::other, "other", "not said, or another vendor's", "", ""},
    {GpuArchitecture::volta, "volta", "V100", "", ""},
    {GpuArchitecture::turing, "turing", "T4, GeForce 20", "", ""},
    {GpuArchitecture::ampere, "ampere", "A100, A6000, GeForce 30", "", ""},
    {GpuArchitecture::ada, "ada", "L4, L40S, GeForce 40", "", ""},
    {GpuArchitecture::hopper, "hopper", "H100, H200, GH200", "", ""},
    {GpuArchitecture::blackwell, "blackwell", "B200, GB10, RTX PRO 6000, GeForce 50", "", ""},
}};

constexpr std::array<Choice<GpuMemoryKind>, 4> memory_kinds{{
    {GpuMemoryKind::other, "other", "not said", "", ""},
    {GpuMemoryKind::gddr, "gddr", "GDDR5 to GDDR7", "", ""},
    {GpuMemoryKind::hbm, "hbm", "HBM2 to HBM3e", "", ""},
    {GpuMemoryKind::lpddr, "lpddr", "LPDDR5X, one with the host's", "", ""},
}};

constexpr std::array<Choice<NumaUse>, 3> numa_uses{{
    {NumaUse::interleaved, "interleaved", "page by page over all nodes, threads everywhere", "", ""},
    {NumaUse::one_node, "one-node", "experts and threads at one node", "", ""},
    {NumaUse::copies, "copies", "threads everywhere, every node with a copy of all experts", "", ""},
}};

constexpr std::array<Choice<KernelLibrary>, 2> kernel_libraries{{
    {KernelLibrary::none, "none", "not measured: priced by rooflines", "", ""},
    {KernelLibrary::vllm, "vllm", "vLLM's, by the constants of docs/kernel-times.md", "", ""},
}};

}  // namespace

template <>
std::span<const Choice<NumaUse>> choices() {
  return numa_uses;
}

template <>
std::span<const Choice<GpuMemoryKind>> choices() {
  return memory_kinds;
}
template <>
std::span<const Choice<GpuArchitecture>> choices() {
  return architectures;
}
template <>
std::span<const Choice<KernelLibrary>> choices() {
  return kernel_libraries;
}

}  // namespace pregate
