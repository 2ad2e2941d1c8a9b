// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/software.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "models/model.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t us = 1'000'000;

GpuSpec of(GpuArchitecture architecture) {
  GpuSpec gpu;
  gpu.architecture = architecture;
  return gpu;
}

SoftwareSpec described() {
  SoftwareSpec software;
  software.launch = {.eager = {4 * us}, .graph = {1 * us}, .graphs_from = GpuArchitecture::ampere};
  software.kernels = {.attention = 10, .dense_layer = 20, .gate = 3, .experts = 5, .device_copy = 2};
  software.host = {.step = {300 * us}, .gate_readback = {25 * us}};
  return software;
}

TEST(Software, LaunchesAreKernelsTimesTheirGap) {
  const OverheadSpec turing = overhead_of(described(), of(GpuArchitecture::turing));
  EXPECT_EQ(turing.attention.count, 40 * us);
  EXPECT_EQ(turing.dense_layer.count, 80 * us);
  EXPECT_EQ(turing.gate.count, 12 * us);
  EXPECT_EQ(turing.experts.count, 20 * us);
  EXPECT_EQ(turing.device_copy.count, 8 * us);
  EXPECT_EQ(turing.step.count, 300 * us);
  EXPECT_EQ(turing.gate_readback.count, 25 * us);
}

// A measured kernel's time has its start in a graph in it: one by one it costs 4 - 1 us more.
TEST(Software, AKernelLibraryIsTheMachinesOnlyWhereOneIsNamed) {
  EXPECT_EQ(overhead_of(described(), of(GpuArchitecture::hopper)).kernel_library, KernelLibrary::none);
  EXPECT_EQ(overhead_of(described(), of(GpuArchitecture::hopper)).single_launch.count, 0);
  SoftwareSpec measured = described();
  measured.kernels.origin = KernelLibrary::vllm;
  EXPECT_EQ(overhead_of(measured, of(GpuArchitecture::hopper)).kernel_library, KernelLibrary::vllm);
  EXPECT_EQ(overhead_of(measured, of(GpuArchitecture::hopper)).single_launch.count, 3 * us);
  EXPECT_EQ(load_machine("h100-sxm-pcie5", {}, {}, "vllm").overhead.kernel_library, KernelLibrary::vllm);
  EXPECT_EQ(load_machine("h100-sxm-pcie5").overhead.kernel_library, KernelLibrary::none);
}

// Where nothing is replayed a pass of prompts is launched as all others are.
TEST(Software, LaunchingPromptsIsOfSoftwareThatReplays) {
  SoftwareSpec software = described();
  software.host.prompt_layer = {900 * us};
  software.host.launches_ahead = true;
  const OverheadSpec hopper = overhead_of(software, of(GpuArchitecture::hopper));
  EXPECT_EQ(hopper.prompt_layer.count, 900 * us);
  EXPECT_TRUE(hopper.launches_ahead);
  const OverheadSpec turing = overhead_of(software, of(GpuArchitecture::turing));
  EXPECT_EQ(turing.prompt_layer.count, 0);
  EXPECT_FALSE(turing.launches_ahead);
}

TEST(Software, GraphsAreReplayedFromAnArchitectureOn) {
  EXPECT_EQ(overhead_of(described(), of(GpuArchitecture::turing)).replayed, 1);
  EXPECT_EQ(overhead_of(described(), of(GpuArchitecture::other)).replayed, 1) << "nobody said that it could";
  EXPECT_EQ(overhead_of(described(), of(GpuArchitecture::ampere)).replayed, 0.25);
  EXPECT_EQ(overhead_of(described(), of(GpuArchitecture::blackwell)).replayed, 0.25);
  SoftwareSpec eager = described();
  eager.launch.graph = {};
  EXPECT_EQ(overhead_of(eager, of(GpuArchitecture::blackwell)).replayed, 1);
}

// Where a GPU says its clock, a kernel takes 5000 cycles at the least: 2.5 us at 2 GHz, below the 4 us of a
// launch one by one and all of one in a graph; 5 us at 1 GHz, above it. On HBM it is 10000.
TEST(Software, KernelsTakeCyclesWhereAClockIsSaid) {
  SoftwareSpec software = described();
  software.launch.cycles = 5000;
  GpuSpec gpu = of(GpuArchitecture::ada);
  EXPECT_EQ(overhead_of(software, gpu).replayed, 0.25) << "no clock";
  gpu.clock_ghz = 2;
  EXPECT_EQ(overhead_of(software, gpu).gate.count, 12 * us);
  EXPECT_EQ(overhead_of(software, gpu).replayed, 2.5 / 4);
  gpu.clock_ghz = 1;
  EXPECT_EQ(overhead_of(software, gpu).gate.count, 15 * us);
  EXPECT_EQ(overhead_of(software, gpu).replayed, 1);
  gpu.memory_kind = GpuMemoryKind::hbm;
  EXPECT_EQ(overhead_of(software, gpu).gate.count, 15 * us) << "hbm_cycles is not said";
  software.launch.hbm_cycles = 10'000;
  EXPECT_EQ(overhead_of(software, gpu).gate.count, 30 * us);
}

TEST(Software, TilesOfInt8AreOfGpusThatHaveTensorCoresForIt) {
  const auto gpu = [](const char* name) { return load_machine(name, {}, {}, "llama-cpp").gpu; };
  EXPECT_GT(gpu("rtx2080-pcie3").tile_flop, 0);
  EXPECT_EQ(gpu("rtx2080-pcie3").activation_bytes, 4);
  EXPECT_EQ(gpu("v100-32g-pcie3").tile_flop, 0);
  EXPECT_EQ(gpu("p40-pcie3").tile_flop, 0);
  EXPECT_GT(gpu("v100-32g-pcie3").recurrence_cycles, 0);
  EXPECT_EQ(load_machine("rtx4090-pcie4").gpu.tile_flop, 0) << "generic has none";
  const std::vector<Override> given{parse_override("machine.gpu.tile_watts=5")};
  EXPECT_EQ(load_machine("rtx4090-pcie4", given, {}, "llama-cpp").gpu.tile_watts, 5) << "the machine's stays";
}

TEST(Software, WattsOfTilesGoByArchitectureAndNotWithHbm) {
  const SoftwareSpec::Efficiency said = load_software("llama-cpp").efficiency;
  const auto gpu = [](const char* name) { return load_machine(name, {}, {}, "llama-cpp").gpu; };
  EXPECT_EQ(gpu("rtx2080-pcie3").tile_watts, said.tile_watts.turing);
  EXPECT_EQ(gpu("rtx4090-pcie4").tile_watts, said.tile_watts.ada);
  EXPECT_EQ(gpu("rtxpro2000-pcie5").tile_watts, said.tile_watts.blackwell);
  EXPECT_EQ(gpu("a100-80g-pcie4").tile_watts, 0) << "HBM";
  EXPECT_EQ(gpu("a100-80g-pcie4").tile_scales, said.tile_scales);
  EXPECT_EQ(gpu("v100-32g-pcie3").tile_fp4, 0) << "no tiles";
  EXPECT_EQ(gpu("v100-32g-pcie3").row_weights, said.row_weights);
  EXPECT_GT(gpu("v100-32g-pcie3").power, 0);
}

// Kernels of layers that are not the plain one take the same gap each, and only the machine says them where
// the software does.
TEST(Software, LayersOfOtherKindsHaveCountsOfTheirOwn) {
  SoftwareSpec software = described();
  software.kernels.layers.mixers.delta = 26;
  software.kernels.layers.added.shared = 4;
  const LayerLaunches<Picoseconds> layers = overhead_of(software, of(GpuArchitecture::turing)).layers;
  EXPECT_EQ(layers.mixers.delta.count, 104 * us);
  EXPECT_EQ(layers.added.shared.count, 16 * us);
  EXPECT_EQ(layers.mixers.latent.count, 0) << "as attention";
  EXPECT_EQ(load_machine("rtx4090-pcie4").overhead.layers, LayerLaunches<Picoseconds>{})
      << "generic counts none";
  const MachineSpec machine = load_machine("rtx2080-pcie3", {}, {}, "llama-cpp");
  const SoftwareSpec llama = load_software("llama-cpp");
  EXPECT_EQ(machine.overhead.layers.mixers.delta, llama.launch.eager * llama.kernels.layers.mixers.delta);
}

Mixer mixer_of(MixerKind kind) {
  Mixer mixer;
  mixer.kind = kind;
  return mixer;
}

TEST(LayerLaunches, AMixerHasItsOwnOrThatOfAttentionAndWhatItAdds) {
  LayerLaunches<Picoseconds> said;
  said.mixers.delta = {26};
  said.added = {.query_rank = {3}, .qk_norm = {2}, .output_gate = {5}, .post_norm = {7}};
  const Picoseconds plain{14};
  EXPECT_EQ(mixer_launches(said, mixer_of(MixerKind::grouped_query), plain).count, 14);
  EXPECT_EQ(mixer_launches(said, mixer_of(MixerKind::gated_delta_net), plain).count, 26);
  EXPECT_EQ(mixer_launches(said, mixer_of(MixerKind::multi_head_latent), plain).count, 14) << "not counted";
  Mixer mixer = mixer_of(MixerKind::grouped_query);
  mixer.qk_norm = mixer.output_gate = true;
  mixer.norms = 2;
  EXPECT_EQ(mixer_launches(said, mixer, plain).count, 14 + 2 + 5 + 7);
  mixer = mixer_of(MixerKind::multi_head_latent);
  mixer.q_lora_rank = 8;
  EXPECT_EQ(mixer_launches(said, mixer, plain).count, 14 + 3);
  // Of a whole layer without experts what is not the mixer stays: 19 - 14.
  EXPECT_EQ(layer_launches(said, mixer_of(MixerKind::gated_delta_net), {19}, plain).count, 5 + 26);
  said.mixers.convolution = {12};
  EXPECT_EQ(layer_launches(said, mixer_of(MixerKind::short_convolution), {19}, plain).count, 17);
}

TEST(LayerLaunches, SharedExpertsAddTheirsAndAFeedForwardWithNormsOfItsOwnMore) {
  LayerLaunches<Picoseconds> said;
  said.added = {.shared = {4}, .shared_gate = {3}, .beside = {15}};
  FeedForward feed_forward;
  feed_forward.kind = FeedForward::Kind::moe;
  EXPECT_EQ(shared_launches(said, feed_forward).count, 0);
  feed_forward.moe.shared_ffn_dim = 128;
  EXPECT_EQ(shared_launches(said, feed_forward).count, 4);
  feed_forward.moe.shared_gate = true;
  EXPECT_EQ(shared_launches(said, feed_forward).count, 7);
  feed_forward.norms = 6;
  EXPECT_EQ(shared_launches(said, feed_forward).count, 15);
  feed_forward.kind = FeedForward::Kind::dense;
  EXPECT_EQ(shared_launches(said, feed_forward).count, 0);
}

TEST(Software, FilesForItMayHoldTheRestOfAModelOtherwise) {
  const SoftwareSpec llama = load_software("llama-cpp"), generic = load_software("generic");
  EXPECT_EQ(dense_format_in_files(llama, "mxfp4", "", ""), "q8_0");
  EXPECT_EQ(dense_format_in_files(llama, "bf16", "", ""), "");
  EXPECT_EQ(dense_format_in_files(llama, "q4_k_m", "q4_k_m", ""), "q4_k_m");
  EXPECT_EQ(dense_format_in_files(llama, "q4_k_m", "q4_k_m", "bf16"), "bf16");
  EXPECT_EQ(dense_format_in_files(llama, "nvfp4", "nvfp4", ""), "") << "no file of llama-quantize";
  EXPECT_EQ(dense_format_in_files(generic, "mxfp4", "", ""), "");
  EXPECT_EQ(dense_format_in_files(generic, "q4_k_m", "q4_k_m", ""), "");
}

// The constants of machines that nobody measured, as they were before software was described apart.
TEST(Software, WithoutANameItIsTheGenericOne) {
  const MachineSpec machine = load_machine("rtx4090-pcie4");
  EXPECT_EQ(machine.software, "generic");
  EXPECT_EQ(machine.overhead.step.count, 1000 * us);
  EXPECT_EQ(machine.overhead.dense_layer.count, 50 * us);
  EXPECT_EQ(machine.overhead.attention.count, 40 * us);
  EXPECT_EQ(machine.overhead.gate.count, 15 * us);
  EXPECT_EQ(machine.overhead.gate_readback.count, 25 * us);
  EXPECT_EQ(machine.overhead.experts.count, 30 * us);
  EXPECT_EQ(machine.overhead.device_copy.count, 5 * us);
  EXPECT_EQ(machine.overhead.replayed, 1);
  EXPECT_EQ(machine.gpu.memory_efficiency, 0.8);
  EXPECT_EQ(machine.gpu.compute_efficiency, 0.7);
}

TEST(Software, EveryEntryOfTheCatalogueDrivesEveryDatasheetMachine) {
  std::vector<std::string> machines = machine_names();
  std::erase_if(machines, [](const auto& name) { return load_machine(name).calibration != "datasheet"; });
  for (const std::string& software : software_names()) {
    for (const std::string& machine : machines) {
      EXPECT_EQ(load_machine(machine, {}, {}, software).software, software) << machine;
    }
  }
}

TEST(Software, WhatAMachineSaysItselfStays) {
  const std::string own =
      "extends = \"rtx4090-pcie4\"\ndescription = \"mine\"\n[overhead]\nstep = \"7 ms\"\n";
  const MachineSpec machine = parse_machine_toml(own, "mine.toml");
  EXPECT_EQ(machine.overhead.step.count, 7000 * us);
  EXPECT_EQ(machine.overhead.gate.count, 15 * us) << "the rest is the software's";
  EXPECT_TRUE(load_machine("a100-80g-fastertransformer").software.empty());
  EXPECT_THAT(error_of([] { load_machine("a100-80g-fastertransformer", {}, {}, "llama-cpp"); }),
              AllOf(HasSubstr("--software"), HasSubstr("says itself"), HasSubstr("hint")));
}

// What the CPU needs for experts is the software's, on the machine's own host and on another one, save what a
// file or a setting says of it.
TEST(Software, SaysHowTheCpuComputesExperts) {
  const SoftwareSpec software = load_software("ktransformers");
  for (const char* host : {"", "xeon-2s-ddr5-4800"}) {
    const HostComputeSpec compute = load_machine("rtx4090-pcie4", {}, host, "ktransformers").host.compute;
    EXPECT_EQ(compute.bandwidth_efficiency, software.cpu.bandwidth) << host;
    EXPECT_EQ(compute.fixed, software.cpu.layer) << host;
    EXPECT_EQ(compute.numa, NumaUse::copies) << host;
  }
  const std::vector<Override> set{parse_override("software.cpu.expert=7us"),
                                  parse_override("machine.host.compute.fixed=5us")};
  const HostComputeSpec changed = load_machine("rtx4090-pcie4", set, {}, "llama-cpp").host.compute;
  EXPECT_EQ(changed.expert.count, 7 * us);
  EXPECT_EQ(changed.fixed.count, 5 * us);
  const std::string own =
      "extends = \"rtx4090-pcie4\"\ndescription = \"mine\"\n[host.compute]\nbandwidth_efficiency = 0.33\n";
  EXPECT_EQ(parse_machine_toml(own, "mine.toml").host.compute.bandwidth_efficiency, 0.33);
}

// What products of packed weights reach is the software's, unless the machine says one share of all formats.
TEST(Software, SaysWhatProductsReachByHowWeightsArePacked) {
  const SoftwareSpec software = load_software("llama-cpp");
  const auto compute = [](std::vector<Override> set, const char* by) {
    return load_machine("rtx4090-pcie4", set, {}, by).host.compute;
  };
  const HostComputeSpec filled = compute({}, "llama-cpp");
  EXPECT_GT(software.cpu.packed.codebook_8, software.cpu.packed.codebook_4)
      << "an entry gives twice the values";
  EXPECT_EQ(filled.packed.blocks, software.cpu.packed.blocks);
  EXPECT_EQ(filled.packed.codebook_4, software.cpu.packed.codebook_4);
  EXPECT_EQ(filled.join, software.cpu.join);
  EXPECT_EQ(compute({}, "pregate").join, 0);
  EXPECT_EQ(compute({}, "pregate").packed.blocks, 0);
  EXPECT_EQ(compute({parse_override("software.cpu.packed.blocks=0.9")}, "llama-cpp").packed.blocks, 0.9);
  EXPECT_EQ(compute({parse_override("machine.host.compute.packed.blocks=0.8")}, "llama-cpp").packed.blocks,
            0.8);
  const HostComputeSpec said =
      compute({parse_override("machine.host.compute.compute_efficiency=0.5")}, "llama-cpp");
  EXPECT_EQ(said.compute_efficiency, 0.5);
  EXPECT_EQ(said.packed.blocks, 0);
  EXPECT_EQ(said.join, software.cpu.join);
  EXPECT_THAT(error_of([&] { compute({parse_override("software.cpu.packed.blocks=1.5")}, "llama-cpp"); }),
              AllOf(HasSubstr("cpu.packed.blocks"), HasSubstr("from 0 to 1")));
  EXPECT_THAT(error_of([&] { compute({parse_override("software.cpu.packed.plain=0.5")}, "llama-cpp"); }),
              HasSubstr("cpu.packed.plain"));
}

TEST(Software, WhatItHoldsAndDoesForItselfGoesIntoTheMachine) {
  const std::vector<Override> changes{parse_override("software.memory.framework=700 MiB"),
                                      parse_override("software.memory.layer_experts=0.5"),
                                      parse_override("software.host.request=40ms"),
                                      parse_override("software.host.lookup=3us")};
  const MachineSpec machine = load_machine("rtx4090-pcie4", changes);
  EXPECT_EQ(machine.memory.framework.count, 700LL << 20);
  EXPECT_EQ(machine.memory.layer_experts, 0.5);
  EXPECT_EQ(machine.memory.fragmentation, 0);
  EXPECT_EQ(machine.overhead.request.count, 40'000 * us);
  EXPECT_EQ(machine.overhead.lookup.count, 3 * us);
  EXPECT_EQ(load_machine("rtx4090-pcie4").memory.framework.count, 0) << "the generic one does not say";
}

TEST(Software, OneThatTakesExpertsInTurnLaunchesForEach) {
  EXPECT_EQ(load_machine("rtx4090-pcie4", {}, {}, "pregate").overhead.expert,
            load_software("pregate").launch.eager * 2);
  EXPECT_EQ(load_machine("rtx4090-pcie4").overhead.expert.count, 0) << "the generic one takes all at once";
}

TEST(Software, AMachineThatWasFittedIsNotTouchedByIt) {
  const std::vector<Override> changes{parse_override("software.launch.eager=9us"),
                                      parse_override("software.efficiency.memory=0.1")};
  const MachineSpec fitted = load_machine("a100-80g-fastertransformer", changes);
  EXPECT_EQ(fitted.overhead.device_copy.count, 5 * us);
  EXPECT_EQ(fitted.gpu.memory_efficiency, 0.8);
}

TEST(Software, ItsKeysAreSetLikeOthers) {
  const std::vector<Override> changes{parse_override("software.launch.eager=3us"),
                                      parse_override("software.kernels.gate=4")};
  EXPECT_EQ(load_machine("rtx4090-pcie4", changes).overhead.gate.count, 12 * us);
  const auto refused = [](const char* set) {
    const std::vector<Override> change{parse_override(set)};
    return error_of([&] { load_software("generic", change); });
  };
  EXPECT_THAT(refused("software.launch.eagre=3us"), HasSubstr("eager"));
  EXPECT_THAT(refused("software.launch.graph=6us"), HasSubstr("slower"));
  EXPECT_THAT(refused("software.kernels.gate=-1"), HasSubstr("from 0"));
  EXPECT_THAT(error_of([] { load_software("llama"); }), HasSubstr("pregate list software"));
}

}  // namespace
}  // namespace pregate
