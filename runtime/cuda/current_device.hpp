// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pregate::runtime::cuda {

/// Makes `device` the one that this thread's next calls are of: CUDA creates and launches on the current one.
/// What a thread chose last is remembered, so that it costs nothing where there is one device. Throws
/// DeviceError.
void use_device(int device);
/// The same on the way out: a failure has been told of before.
void use_device_if_there(int device) noexcept;

}  // namespace pregate::runtime::cuda
