#include "lib/changes/meta.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/model/parts.h"

namespace aimem::changes {

Id128 MemberOf(const Meta& meta) {
  Id128 member;
  const auto found = meta.find(kMetaMember);
  if (found != meta.end() && found->second.size() == member.bytes.size()) {
    std::copy(found->second.begin(), found->second.end(), member.bytes.begin());
  }
  return member;
}

std::uint64_t QuorumOf(const Meta& meta) {
  const auto found = meta.find(kMetaQuorum);
  return found == meta.end() ? 0 : model::DecodeU64(found->second).value_or(0);
}

absl::StatusOr<std::optional<ChangeCursor>> InstallingOf(const Meta& meta) {
  const auto found = meta.find(kMetaInstall);
  if (found == meta.end() || found->second.empty()) return std::nullopt;
  absl::StatusOr<ChangeCursor> cursor = ChangeCursor::FromBytes(found->second);
  if (cursor.ok()) return *std::move(cursor);
  return absl::DataLossError(
      "meta 'install' does not decode: where the filling of this store stopped is lost; remove "
      "the store and fill it again");
}

}  // namespace aimem::changes
