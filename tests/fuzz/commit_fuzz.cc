// Any bytes: the decoder refuses them, or they are a commit that survives encoding. Hashes are
// checked last, so the form is tried without them and the encoder puts them right.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/log/commit.h"

namespace aimem {
namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "commit_fuzz: %s\n", what);
  std::abort();
}

void Try(std::string_view bytes) {
  const absl::StatusOr<log::CommitHeader> header = log::DecodeCommitHeader(bytes);
  const bool verified = log::DecodeCommit(bytes).ok();
  absl::StatusOr<log::Commit> commit = log::DecodeCommit(bytes, /*verify=*/false);
  if (!commit.ok()) return Require(!verified, "the hashes hold, the form does not");
  if (commit->opaque) {
    return Require(!header.ok() && verified && log::PeekPosition(bytes).has_value(),
                   "another version has a place, and no more");
  }
  Require(header.ok() && header->content_hash == commit->header.content_hash,
          "the header alone reads differently");
  const std::string again = log::EncodeCommit(*commit);
  constexpr std::size_t kHeaderOffset = 1 + sizeof(Hash256);
  Require(std::string_view(again).substr(kHeaderOffset) == bytes.substr(kHeaderOffset),
          "not the canonical encoding");
  Require(verified == (again == bytes), "only the right hash is accepted");
  Require(log::DecodeCommit(again).ok(), "what the encoder writes is refused");
}

}  // namespace
}  // namespace aimem

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  aimem::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
