// SHA-256, by OpenSSL.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "aimem/types.h"

namespace aimem {

/// SHA-256 of the pieces, one after the other.
Hash256 Sha256(std::initializer_list<std::string_view> pieces);
Hash256 Sha256(std::span<const std::string_view> pieces);

std::string_view AsBytes(const Hash256& hash);
std::string_view AsBytes(const Id128& id);
/// Lower-case hexadecimal.
std::string ToHex(std::string_view bytes);
/// nullopt if `hex` is not an even number of hexadecimal digits.
std::optional<std::string> FromHex(std::string_view hex);
/// The first 16 bytes.
Id128 Cut(const Hash256& hash);

}  // namespace aimem
