// A trial: a federation and the clients that write to it, for phases that hurt it, let it settle
// and compare what it holds with what the clients were told.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "campaign/check.h"
#include "campaign/clients.h"
#include "campaign/federation.h"
#include "campaign/journal.h"

namespace aimem::campaign {

struct TrialOptions {
  std::string program;  ///< Path of the `aimem` binary.
  std::string folder;   ///< For stores, certificates, journals and logs.
  int clients = 4;
  /// Ends every wait, with kCancelled.
  const std::atomic<bool>* cancel = nullptr;
  absl::Duration settle_timeout = absl::Seconds(30);
  absl::Duration digest_timeout = absl::Seconds(10);
};

/// All members, compared with the journals at one time.
using MemberFindings = std::vector<Findings>;

struct Settled {
  MemberFindings at_once;  ///< Right after the last answer.
  MemberFindings in_the_end;
  double seconds = 0;  ///< Until all members held all.

  [[nodiscard]] bool ok() const;
};

struct Digests {
  std::vector<MemberDigest> members;

  [[nodiscard]] bool SameVectors() const;
  [[nodiscard]] bool SameRoots() const;
};

/// Not thread-safe.
class Trial {
 public:
  /// Start the members, and make the clients; nothing is written yet.
  static absl::StatusOr<std::unique_ptr<Trial>> Start(const TrialOptions& options);

  Federation& federation() { return *federation_; }
  Clients& clients() { return *clients_; }
  /// As they were read last.
  [[nodiscard]] const std::vector<Journal>& journals() const { return journals_; }

  /// Let the clients write for `time`, or until one of them has met an error.
  absl::Status LetWrite(absl::Duration time);
  /// Until a request to `member` has no answer yet, or 5 s are over; how many there are.
  int AwaitRequest(std::size_t member);

  /// What a member has counted dies with it, so that is read before. kInternal: it had ended.
  absl::Status Kill(std::size_t member);
  /// Add what a member has counted to `stragglers`: once in the life of a process.
  absl::Status CountStragglers(std::size_t member);
  /// Deliveries that ended after their callers' answers.
  [[nodiscard]] std::int64_t stragglers() const { return stragglers_; }

  /// Without any traffic, wait until all members hold what the journals say.
  absl::StatusOr<Settled> Settle();
  /// Ask all members at one time and compare them with the journals as they were read last.
  absl::StatusOr<MemberFindings> Compare();
  /// Read the journals, and the files of members that may be dead.
  absl::StatusOr<MemberFindings> CompareFiles();
  /// Wait until all digests are equal, but not for long: rows can be equal a moment before the
  /// positions are, since the last commit of a log may have changed nothing that a list shows.
  absl::StatusOr<Digests> CompareDigests();

 private:
  explicit Trial(const TrialOptions& options) : options_(options) {}
  [[nodiscard]] bool Cancelled() const { return options_.cancel != nullptr && *options_.cancel; }

  const TrialOptions options_;
  // The servers end before the clients: a client that waits for one is then told so.
  std::unique_ptr<Clients> clients_;
  std::unique_ptr<Federation> federation_;
  std::vector<Journal> journals_;
  std::int64_t stragglers_ = 0;
};

}  // namespace aimem::campaign
