// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "cli/command.hpp"
#include "runtime/device.hpp"
#include "runtime/shapes.hpp"
#include "runtime/weights/expert_store.hpp"

namespace pregate::cli {

/// Options of the subcommands that run on a device.
po::options_description device_options();
/// The device that they name; "cuda" where it answers and none is named, else "host".
std::unique_ptr<runtime::Device> open_device(const Parsed& parsed);
/// How attention is executed, and what --attention says of it: of the subcommands that run passes of a trace.
po::options_description attention_option();
runtime::Attention attention_of(const Parsed& parsed);
/// --distinct-experts and --experts-on-ssd.
runtime::StoreOptions store_options(const Parsed& parsed);
/// "host device Intel ..., 8 GiB".
std::string describe(const runtime::Device& device);
/// A line on standard error, only on a terminal.
void report_stage(const std::string& stage);

}  // namespace pregate::cli
