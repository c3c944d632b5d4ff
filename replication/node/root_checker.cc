#include "replication/node/root_checker.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status.h"

namespace aimem::replication {
namespace {

constexpr int kComparedRanges = 256;

/// Ranges that divide the key space evenly.
std::vector<DigestRange> EvenRanges() {
  std::vector<DigestRange> ranges(kComparedRanges);
  for (int i = 0; i < kComparedRanges; ++i) {
    ranges[static_cast<std::size_t>(i)].first[0] = static_cast<std::uint8_t>(i);
    if (i + 1 < kComparedRanges) {
      Hash256 last{};
      last[0] = static_cast<std::uint8_t>(i + 1);
      ranges[static_cast<std::size_t>(i)].last = last;
    }
  }
  return ranges;
}

}  // namespace

void RootChecker::ComputeRoot() {
  const absl::Duration begun = driver_.clock().Monotonic();
  absl::StatusOr<DigestResult> digest = driver_.store().Digest({});
  std::optional<Root> root;
  if (digest.ok()) {
    failure_.Forget();
    root = Root{std::move(digest->vector), digest->sums.front().sum};
  } else if (const std::string text(ToStd(digest.status().message())); failure_.Says(text)) {
    driver_.Log(LogLevel::kWarning, "computing the root: " + text);
  }
  driver_.HandleEvent([&](Member& member, const Member::Now& now, Actions&) {
    member.OnRoot(now, std::move(root), now.monotonic - begun);
  });
}

void RootChecker::CompareWith(std::size_t peer, WorkInProgress::Token work) {
  DigestRequest request;
  request.ranges = EvenRanges();
  absl::StatusOr<DigestResult> ours = driver_.store().Digest(request.ranges);
  if (!ours.ok()) return;
  request.header = driver_.MakeHeader();
  driver_.transport().Digest(
      driver_.AddressOf(peer), std::move(request),
      [this, peer, ours = *std::move(ours),
       work = std::move(work)](const absl::StatusOr<DigestReply>& theirs) {
        if (!theirs.ok()) return;
        driver_.Log(LogLevel::kError,
                    DescribeDivergence(driver_.AddressOf(peer), ours, theirs->result));
      });
}

std::string RootChecker::DescribeDivergence(const std::string& peer, const DigestResult& ours,
                                            const DigestResult& theirs) {
  if (ours.vector != theirs.vector || ours.sums.size() != theirs.sums.size()) {
    return absl::StrCat("divergence from ", peer, ": the vectors have moved on meanwhile");
  }
  int different = 0;
  std::string first;
  for (std::size_t i = 0; i < ours.sums.size(); ++i) {
    if (ours.sums[i].sum == theirs.sums[i].sum) continue;
    if (different++ == 0) first = absl::StrFormat("%02x", i);
  }
  return absl::StrFormat(
      "divergence from %s: %d of %d ranges of keys differ, the first is %s: run doctor on both",
      peer, different, kComparedRanges, first.empty() ? "none" : first);
}

}  // namespace aimem::replication
