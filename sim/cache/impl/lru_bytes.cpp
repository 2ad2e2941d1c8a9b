// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/impl/lru_bytes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

// Which processor it is is known as the program runs. The attribute is a function's own: lambdas and what is
// called without it are not compiled for the same.
#define PREGATE_MOVES_BYTES __attribute__((target("ssse3,popcnt")))

namespace pregate::cache {

namespace {

constexpr std::size_t at_once = 8;  // residents

/// By which of eight are kept: the places of those, in order, one after the other.
constexpr auto places_of_kept = [] {
  std::array<std::array<std::uint8_t, at_once>, 1U << at_once> places{};
  for (unsigned kept = 0; kept < places.size(); ++kept) {
    std::size_t next = 0;
    for (std::uint8_t place = 0; place < at_once; ++place) {
      if ((kept >> place & 1U) != 0) places[kept][next++] = place;
    }
  }
  return places;
}();

/// Residents of a domain stand in a row of bytes, the oldest first, which is always full: before the first
/// residents there are `nobody`s. The row is a window that moves through its memory, as those of LruRows.
class ByteLruHits final : public HitCounter {
 public:
  static bool serves(const CacheGeometry& geometry) {
    for (std::uint32_t domain = 0; domain < geometry.domains; ++domain) {
      if (geometry.first_key[domain + 1] - geometry.first_key[domain] > nobody) return false;
    }
    return __builtin_cpu_supports("ssse3") != 0 && __builtin_cpu_supports("popcnt") != 0;
  }

  explicit ByteLruHits(const CacheGeometry& geometry) {
    std::uint32_t begin = 0;
    for (std::uint32_t domain = 0; domain < geometry.domains; ++domain) {
      const auto slots = static_cast<std::uint32_t>(geometry.capacity[domain]);
      const std::uint32_t end = begin + slots * row_lengths;
      rows_.push_back({begin, begin, end, slots, geometry.first_key[domain]});
      begin = end + at_once;  // eight are written where fewer are left
    }
    bytes_.assign(begin + at_once, nobody);
  }

  void count(std::uint32_t first_domain, const ExpertKey* keys, std::span<const BatchRange> batches,
             std::uint32_t* hits) override {
    const std::size_t rows_a_batch = rows_.size() == 1 ? 0 : 1;
    const Batches all{keys, batches.data(), batches.data() + batches.size()};
    count_all(rows_.data() + rows_a_batch * first_domain, rows_a_batch, all, hits);
  }

 private:
  static constexpr std::uint8_t nobody = 0xFF;
  static constexpr std::uint32_t row_lengths = 8;
  struct Row {
    std::uint32_t begin;       // of the residents, in bytes_
    std::uint32_t first, end;  // its memory
    std::uint32_t slots;
    ExpertKey first_key;
  };
  struct Batches {
    const ExpertKey* keys;
    const BatchRange *next, *end;
  };

  PREGATE_MOVES_BYTES void count_all(Row* row, std::size_t rows_a_batch, Batches batches,
                                     std::uint32_t* hits) {
    while (batches.next != batches.end) {
      const BatchRange* const before = batches.next;
      const std::uint32_t size = before->size();
      if (size > row->slots) {
        *hits = access_large(*row, {batches.keys + before->begin, size});
        ++batches.next;
      } else if (size == 4) {
        batches.next = count_alike<4>(row, rows_a_batch, batches, hits);
      } else if (size == 8) {
        batches.next = count_alike<8>(row, rows_a_batch, batches, hits);
      } else {
        *hits = access_any(*row, {batches.keys + before->begin, size});
        ++batches.next;
      }
      const auto done = static_cast<std::size_t>(batches.next - before);
      row += rows_a_batch * done;
      hits += done;
    }
  }

  /// The batches up to the first one of another size, or of a row with fewer slots.
  template <std::uint32_t Set>
  PREGATE_MOVES_BYTES const BatchRange* count_alike(Row* row, std::size_t rows_a_batch, Batches batches,
                                                    std::uint32_t* hits) {
    const BatchRange* next = batches.next;
    do {
      *hits++ = access<Set>(*row, batches.keys + next->begin);
      row += rows_a_batch;
      ++next;
    } while (next != batches.end && next->size() == Set && Set <= row->slots);
    return next;
  }

  template <std::uint32_t Set>
  PREGATE_MOVES_BYTES std::uint32_t access(Row& row, const ExpertKey* activated) {
    static_assert(Set % 4 == 0);
    const __m128i first_key = _mm_set1_epi32(static_cast<int>(row.first_key));
    const __m128i lowest_bytes = _mm_set1_epi32(0x0C080400);
    __m128i members[Set];
    std::uint8_t* const oldest = with_room(row, Set);
    std::array<std::uint32_t, Set / 4> appended;
    for (std::uint32_t i = 0; i < Set; i += 4) {
      const __m128i four =
          _mm_sub_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(activated + i)), first_key);
      for (std::uint32_t n = 0; n < 4; ++n)
        members[i + n] = _mm_shuffle_epi8(four, _mm_set1_epi8(static_cast<char>(4 * n)));
      appended[i / 4] = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_shuffle_epi8(four, lowest_bytes)));
    }
    const std::uint32_t kept = take_out(oldest, row.slots, members, Set);
    std::memcpy(oldest + kept, appended.data(), sizeof appended);
    return appended_after(row, kept, Set);
  }

  PREGATE_MOVES_BYTES std::uint32_t access_any(Row& row, std::span<const ExpertKey> activated) {
    const auto set = static_cast<std::uint32_t>(activated.size());
    if (set == 0) return 0;
    __m128i members[most_slots];
    std::uint8_t* const oldest = with_room(row, set);
    for (std::uint32_t i = 0; i < set; ++i)
      members[i] = _mm_set1_epi8(static_cast<char>(activated[i] - row.first_key));
    const std::uint32_t kept = take_out(oldest, row.slots, members, set);
    for (std::uint32_t i = 0; i < set; ++i)
      oldest[kept + i] = static_cast<std::uint8_t>(activated[i] - row.first_key);
    return appended_after(row, kept, set);
  }

  /// Takes `members`, each in every byte, out of a row; the others move up. How many are left.
  [[gnu::always_inline]] PREGATE_MOVES_BYTES static inline std::uint32_t take_out(std::uint8_t* oldest,
                                                                                  std::uint32_t slots,
                                                                                  const __m128i* members,
                                                                                  std::uint32_t set) {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < slots; i += at_once) {
      const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(oldest + i));
      __m128i leaving = _mm_cmpeq_epi8(eight, members[0]);
      for (std::uint32_t n = 1; n < set; ++n)
        leaving = _mm_or_si128(leaving, _mm_cmpeq_epi8(eight, members[n]));
      const std::uint32_t there = slots - i >= at_once ? 0xFFU : (1U << (slots - i)) - 1;
      const std::uint32_t stays = ~static_cast<std::uint32_t>(_mm_movemask_epi8(leaving)) & there;
      const __m128i places = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(places_of_kept[stays].data()));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(oldest + kept), _mm_shuffle_epi8(eight, places));
      kept += static_cast<std::uint32_t>(__builtin_popcount(stays));
    }
    return kept;
  }

  /// The oldest drop out again of a row that `set` members were appended to. Returns those that had hit.
  static std::uint32_t appended_after(Row& row, std::uint32_t kept, std::uint32_t set) {
    row.begin += kept + set - row.slots;
    return row.slots - kept;
  }

  /// The row's oldest, once there is memory for `appended` more behind the youngest.
  [[nodiscard]] std::uint8_t* with_room(Row& row, std::uint32_t appended) {
    if (row.begin + row.slots + appended > row.end) move_to_start(row);
    return bytes_.data() + row.begin;
  }
  [[gnu::noinline]] void move_to_start(Row& row) {
    std::memmove(bytes_.data() + row.first, bytes_.data() + row.begin, row.slots);
    row.begin = row.first;
  }

  /// A set larger than the cache: everything else leaves, and the set's residents stay, with the first of the
  /// others in what room there is.
  [[gnu::noinline]] std::uint32_t access_large(Row& row, std::span<const ExpertKey> activated) {
    std::uint8_t* next = bytes_.data() + row.begin;
    std::array<bool, nobody + 1U> resident{};
    for (std::uint32_t i = 0; i < row.slots; ++i) resident[next[i]] = true;
    std::uint32_t hits = 0;
    for (const ExpertKey key : activated) hits += resident[key - row.first_key] ? 1U : 0U;
    std::uint32_t room = row.slots - hits;
    for (const ExpertKey key : activated) {
      const bool stays = resident[key - row.first_key];
      if (stays || room > 0) *next++ = static_cast<std::uint8_t>(key - row.first_key);
      if (!stays && room > 0) --room;
    }
    return hits;
  }

  static constexpr std::uint32_t most_slots = 32;  // is_small()
  std::vector<Row> rows_;                          // by domain
  std::vector<std::uint8_t> bytes_;
};

}  // namespace

std::unique_ptr<HitCounter> make_byte_lru_hits(const CacheGeometry& geometry) {
  return ByteLruHits::serves(geometry) ? std::make_unique<ByteLruHits>(geometry) : nullptr;
}

}  // namespace pregate::cache

#else

namespace pregate::cache {
std::unique_ptr<HitCounter> make_byte_lru_hits(const CacheGeometry&) { return nullptr; }
}  // namespace pregate::cache

#endif
