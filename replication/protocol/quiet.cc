#include "replication/protocol/quiet.h"

#include <string>

#include "lib/base/hash.h"
#include "lib/log/grammar.h"

namespace aimem::replication {
namespace {

constexpr std::int64_t kDayMs = 24 * 60 * 60 * 1000;
constexpr int kHlcCounterBits = 16;

bool IsQuiet(const StreamHead& head, std::uint64_t until) {
  // A head that is not known in full is told as it is.
  return head.hlc != 0 && head.hlc <= until && head.hash != Hash256{};
}

}  // namespace

std::uint64_t QuietUntil(std::int64_t wall_ms) {
  if (wall_ms < 2 * kDayMs) return 0;
  return static_cast<std::uint64_t>((wall_ms / kDayMs - 1) * kDayMs) << kHlcCounterBits;
}

void QuietStreams::Changed(const StreamHead* before, const StreamHead* after) {
  for (const StreamHead* head : {before, after}) {
    if (head != nullptr && IsQuiet(*head, until_)) until_ = 0;
  }
}

const Hash256& QuietStreams::Digest(const StreamHeads& heads, std::uint64_t until) {
  if (until == until_) return digest_;
  std::string text;
  for (const auto& [stream, head] : heads) {
    if (!IsQuiet(head, until)) continue;
    log::AppendU64(stream, text);
    log::AppendU64(head.seq, text);
    text += AsBytes(head.hash);
  }
  until_ = until;
  digest_ = text.empty() ? Hash256{} : Sha256({text});
  return digest_;
}

void LeaveOutQuiet(std::uint64_t until, QuietStreams& quiet, Header& header) {
  if (until == 0) return;
  header.quiet = quiet.Digest(header.heads, until);
  if (header.quiet == Hash256{}) return;
  header.quiet_until = until;
  std::erase_if(header.heads, [&](const auto& entry) { return IsQuiet(entry.second, until); });
}

std::optional<StreamHeads> AllHeads(const Header& header, const StreamHeads& ours,
                                    QuietStreams& quiet) {
  if (header.quiet_until == 0) return header.heads;
  if (quiet.Digest(ours, header.quiet_until) != header.quiet) return std::nullopt;
  StreamHeads heads = header.heads;
  for (const auto& [stream, head] : ours) {
    if (IsQuiet(head, header.quiet_until)) heads.emplace(stream, head);
  }
  return heads;
}

}  // namespace aimem::replication
