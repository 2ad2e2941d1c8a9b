// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/zstd_stream.hpp"

#include <zstd.h>

#include <cstring>
#include <new>
#include <vector>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

constexpr int largest_window = 27;  // log2: what `zstd` itself decompresses without --long

}  // namespace

bool is_zstd(const char* start) {
  constexpr unsigned char magic[] = {0x28, 0xB5, 0x2F, 0xFD};
  return std::memcmp(start, magic, sizeof magic) == 0;
}

struct ZstdStream::State {
  std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream{ZSTD_createDStream(),
                                                                       &ZSTD_freeDStream};
  std::vector<char> buffer = std::vector<char>(1U << 17U);
  ZSTD_inBuffer input{buffer.data(), 0, 0};
  bool at_end = false;    ///< of the source
  bool in_frame = false;  ///< begun, its end not yet seen
};

ZstdStream::ZstdStream() : state_(std::make_unique<State>()) {
  if (!state_->stream) throw std::bad_alloc();
  ZSTD_DCtx_setParameter(state_->stream.get(), ZSTD_d_windowLogMax, largest_window);
}

ZstdStream::~ZstdStream() = default;

std::size_t ZstdStream::read(char* to, std::size_t size, const Source& source, const std::string& where) {
  ZSTD_outBuffer output{to, size, 0};
  while (output.pos < output.size) {
    if (state_->input.pos == state_->input.size && !state_->at_end) {
      state_->input = {state_->buffer.data(), source(state_->buffer.data(), state_->buffer.size()), 0};
      state_->at_end = state_->input.size == 0;
    }
    if (state_->at_end && !state_->in_frame) break;
    const std::size_t before = output.pos;
    const std::size_t left = ZSTD_decompressStream(state_->stream.get(), &output, &state_->input);
    if (ZSTD_isError(left) != 0)
      throw InputError(where, std::string("cannot be read: ") + ZSTD_getErrorName(left),
                       "is the zstd file damaged, or made with a window above 128 MiB? compress it again");
    state_->in_frame = left != 0;
    if (state_->in_frame && state_->at_end && output.pos == before)
      throw InputError(where, "cannot be read: unexpected end of file", "the zstd file is truncated");
  }
  return output.pos;
}

}  // namespace pregate::trace
