// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

namespace pregate::standin {

/// Adds table[i % 4], which is in constant memory, to value i of `count`; a device variable counts the
/// threads.
void add_table(float* values, int count, cudaStream_t stream);
cudaError_t set_table(const float (&values)[4]);
cudaError_t read_counter(int& count);

const void* add_table_kernel();

}  // namespace pregate::standin
