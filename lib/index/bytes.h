// Bytes: numbers within the flat arrays of a segment, least significant byte first.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace aimem::index {

/// Arrays end with so many bytes that say nothing, so that 8 bytes can be read at each number.
inline constexpr std::size_t kBytesAfter = 8;

inline std::uint64_t LoadNumber(const std::uint8_t* bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes, sizeof number);
  if constexpr (std::endian::native == std::endian::big) number = __builtin_bswap64(number);
  return number;
}

inline void StoreNumber(std::uint64_t number, std::uint8_t* bytes) {
  if constexpr (std::endian::native == std::endian::big) number = __builtin_bswap64(number);
  std::memcpy(bytes, &number, sizeof number);
}

}  // namespace aimem::index
