// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/content_hash.hpp"

#include <openssl/evp.h>

#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "models/error.hpp"

namespace pregate::trace {

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  if (impl_->context == nullptr || EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("SHA-256 is not available in this OpenSSL");
}

Sha256::~Sha256() { EVP_MD_CTX_free(impl_->context); }

void Sha256::update(const void* bytes, std::size_t size) {
  if (EVP_DigestUpdate(impl_->context, bytes, size) != 1) throw std::runtime_error("SHA-256 failed");
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(impl_->context, digest.data(), &size) != 1)
    throw std::runtime_error("SHA-256 failed");
  static constexpr char digits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += digits[digest[i] >> 4U];
    hex += digits[digest[i] & 15U];
  }
  return hex;
}

std::string sha256_of_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw InputError(path, std::string("cannot be opened: ") + std::strerror(errno));
  Sha256 sha;
  std::vector<unsigned char> block(1U << 16U);
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), file.get()))
    sha.update(block.data(), got);
  if (std::ferror(file.get()) != 0) throw InputError(path, "cannot be read");
  return sha.finish();
}

namespace {

/// Appends an unsigned integer, least significant byte first.
template <typename T>
void put(std::vector<unsigned char>& out, T value) {
  const auto bits = static_cast<std::uint64_t>(value);
  for (unsigned i = 0; i < sizeof(T); ++i)
    out.push_back(static_cast<unsigned char>((bits >> (8U * i)) & 0xFFU));
}

void put_text(std::vector<unsigned char>& out, const std::string& text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
}

template <typename T>
void put_array(std::vector<unsigned char>& out, std::span<const T> values) {
  if constexpr (std::endian::native == std::endian::little) {
    const auto start = out.size();
    out.resize(start + values.size_bytes());
    if (!values.empty()) std::memcpy(out.data() + start, values.data(), values.size_bytes());
  } else {
    for (const T value : values) {
      if constexpr (sizeof(T) == 2)
        put(out, std::bit_cast<std::uint16_t>(value));
      else
        put(out, std::bit_cast<std::uint32_t>(value));
    }
  }
}

}  // namespace

ContentHash::ContentHash(const TraceInfo& info)
    : has_weights_(info.has_weights),
      has_predictions_(info.has_predictions),
      has_arrivals_(info.has_arrivals),
      has_accepted_(info.has_accepted) {
  const std::string magic = "pregate-trace-1\n";
  buffer_.assign(magic.begin(), magic.end());
  put(buffer_, static_cast<std::uint32_t>(info.stacks.size()));
  for (const auto& name : info.stacks) put_text(buffer_, name);
  put(buffer_, static_cast<std::uint32_t>(info.layers.size()));
  for (const TraceLayer& layer : info.layers) {
    put(buffer_, static_cast<std::uint32_t>(layer.stack));
    put(buffer_, static_cast<std::uint32_t>(layer.layer));
    put(buffer_, static_cast<std::uint32_t>(layer.experts));
    put(buffer_, static_cast<std::uint32_t>(layer.top_k));
    put(buffer_, static_cast<std::uint64_t>(layer.expert_bytes.count));
  }
  put(buffer_, static_cast<std::uint8_t>(info.has_weights ? 1 : 0));
  put(buffer_, static_cast<std::uint8_t>(info.has_predictions ? 1 : 0));
  put(buffer_, static_cast<std::uint32_t>(info.prediction_distance));
  if (!info.further_distances.empty() || !info.predicted_by.empty()) {
    buffer_.push_back('P');
    put_text(buffer_, info.predicted_by);
    put(buffer_, static_cast<std::uint32_t>(info.further_distances.size()));
    for (const int distance : info.further_distances) put(buffer_, static_cast<std::uint32_t>(distance));
  }
  sha_.update(buffer_.data(), buffer_.size());
}

void ContentHash::begin_request(const Request& request) {
  buffer_.assign(1, 'R');
  put_text(buffer_, request.label);
  put(buffer_, static_cast<std::uint32_t>(request.sequences));
  if (has_arrivals_) {
    buffer_.push_back('A');
    put(buffer_, static_cast<std::uint64_t>(request.arrival_ns));
  }
  sha_.update(buffer_.data(), buffer_.size());
}

void ContentHash::add(const Step& step) {
  buffer_.assign(1, 'S');
  put(buffer_, static_cast<std::uint8_t>(step.phase));
  put(buffer_, static_cast<std::uint32_t>(step.stack));
  put(buffer_, static_cast<std::uint32_t>(step.sequences));
  put(buffer_, static_cast<std::uint32_t>(step.tokens));
  put(buffer_, static_cast<std::uint32_t>(step.position));
  put_array(buffer_, step.experts);
  if (has_weights_) put_array(buffer_, step.weights);
  if (has_predictions_) put_array(buffer_, step.predicted);
  if (has_accepted_ && step.phase == Phase::decode) {
    buffer_.push_back('D');
    put(buffer_, static_cast<std::uint32_t>(step.accepted));
  }
  sha_.update(buffer_.data(), buffer_.size());
}

std::string content_hash_of(StepSource& source) {
  ContentHash hash(source.info());
  Step step;
  source.rewind();
  while (source.next(step)) {
    if (step.first_of_request) hash.begin_request({step.request, {}, step.sequences, step.arrival_ns});
    hash.add(step);
  }
  source.rewind();
  return hash.finish();
}

}  // namespace pregate::trace
