#include "lib/base/hash.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <string>

namespace aimem {
namespace {

// Given a context and readable memory these calls fail only for want of memory.
void Require(bool ok) {
  if (!ok) throw std::bad_alloc();
}

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void Sha256Stream::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  Require(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256Stream::Add(std::string_view bytes) {
  Require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Hash256 Sha256Stream::Take() {
  Hash256 hash;
  Require(EVP_DigestFinal_ex(context_.get(), hash.data(), nullptr) == 1);
  Require(EVP_DigestInit_ex(context_.get(), nullptr, nullptr) == 1);
  return hash;
}

Hash256 Sha256(std::initializer_list<std::string_view> pieces) {
  return Sha256(std::span<const std::string_view>(pieces.begin(), pieces.size()));
}

Hash256 Sha256(std::span<const std::string_view> pieces) {
  // OpenSSL looks an algorithm up at each start of a digest unless the context already has it, and
  // the look-up costs more than hashing a short key: so each thread keeps one prepared context.
  thread_local Sha256Stream stream;
  for (const std::string_view piece : pieces) stream.Add(piece);
  return stream.Take();
}

std::string_view AsBytes(const Hash256& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

std::string_view AsBytes(const Id128& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::string ToHex(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex(bytes.size() * 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    hex[2 * i] = kDigits[byte >> 4];
    hex[2 * i + 1] = kDigits[byte & 0xf];
  }
  return hex;
}

std::optional<std::string> FromHex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = DigitValue(hex[i]);
    const int low = DigitValue(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

Id128 Cut(const Hash256& hash) {
  Id128 id;
  std::copy_n(hash.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

}  // namespace aimem
