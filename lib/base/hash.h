// SHA-256, by OpenSSL.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "aimem/types.h"

struct evp_md_ctx_st;

namespace aimem {

/// SHA-256 of the pieces, one after the other.
Hash256 Sha256(std::initializer_list<std::string_view> pieces);
Hash256 Sha256(std::span<const std::string_view> pieces);

/// SHA-256 of bytes that come one after the other. One thread at a time. std::bad_alloc if there is
/// no memory for it.
class Sha256Stream {
 public:
  Sha256Stream();

  void Add(std::string_view bytes);
  /// Of all that was added since the last time.
  Hash256 Take();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string_view AsBytes(const Hash256& hash);
std::string_view AsBytes(const Id128& id);
/// Lower-case hexadecimal.
std::string ToHex(std::string_view bytes);
/// nullopt if `hex` is not an even number of hexadecimal digits.
std::optional<std::string> FromHex(std::string_view hex);
/// The first 16 bytes.
Id128 Cut(const Hash256& hash);

}  // namespace aimem
