#include "campaign/trial.h"

#include <poll.h>

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "lib/base/status.h"

namespace aimem::campaign {
namespace {

constexpr std::size_t kMembers = Federation::kMembers;
constexpr int kPollMilliseconds = 10;
constexpr int kLinesShown = 20;  // of a log
constexpr absl::Duration kRequestTimeout = absl::Seconds(5);

}  // namespace

bool Settled::ok() const {
  return std::all_of(in_the_end.begin(), in_the_end.end(),
                     [](const Findings& found) { return found.ok(); });
}

bool Digests::SameVectors() const {
  return std::all_of(members.begin(), members.end(), [this](const MemberDigest& digest) {
    return digest.vector == members[0].vector;
  });
}

bool Digests::SameRoots() const {
  return std::all_of(members.begin(), members.end(),
                     [this](const MemberDigest& digest) { return digest.root == members[0].root; });
}

absl::StatusOr<std::unique_ptr<Trial>> Trial::Start(const TrialOptions& options) {
  std::unique_ptr<Trial> trial(new Trial(options));
  AIMEM_ASSIGN_OR_RETURN(trial->federation_, Federation::Start({.program = options.program,
                                                                .folder = options.folder,
                                                                .cancel = options.cancel}));
  ClientsOptions clients;
  clients.ports = trial->federation_->HttpPorts();
  clients.folder = options.folder;
  clients.clients = options.clients;
  clients.cancel = options.cancel;
  AIMEM_ASSIGN_OR_RETURN(trial->clients_, Clients::Make(clients));
  return trial;
}

absl::Status Trial::LetWrite(absl::Duration time) {
  const absl::Time end = absl::Now() + time;
  while (absl::Now() < end && clients_->healthy()) {
    if (Cancelled()) return absl::CancelledError("interrupted");
    poll(nullptr, 0, kPollMilliseconds);
  }
  return absl::OkStatus();
}

int Trial::AwaitRequest(std::size_t member) {
  const int index = static_cast<int>(member);
  const absl::Time deadline = absl::Now() + kRequestTimeout;
  while (clients_->InFlight(index) == 0 && absl::Now() < deadline) poll(nullptr, 0, 1);
  return clients_->InFlight(index);
}

absl::Status Trial::Kill(std::size_t member) {
  AIMEM_RETURN_IF_ERROR(CountStragglers(member));
  const support::ProcessEnd end = federation_->server(member).Kill();
  if (end.signal != 0) return absl::OkStatus();
  return absl::InternalError(absl::StrFormat(
      "member %s had ended before it could be killed, with %s; its log ends with\n%s",
      Federation::Name(member), end.ToString(),
      support::TailOf(federation_->LogPath(member), kLinesShown)));
}

absl::Status Trial::CountStragglers(std::size_t member) {
  AIMEM_ASSIGN_OR_RETURN(const FederationView view, federation_->api(member).Federation());
  stragglers_ += view.stragglers_finished;
  return absl::OkStatus();
}

absl::StatusOr<Settled> Trial::Settle() {
  const absl::Time begin = absl::Now();
  AIMEM_ASSIGN_OR_RETURN(journals_, clients_->ReadJournals());
  Settled settled;
  while (true) {
    AIMEM_ASSIGN_OR_RETURN(settled.in_the_end, Compare());
    settled.seconds = absl::ToDoubleSeconds(absl::Now() - begin);
    if (settled.at_once.empty()) settled.at_once = settled.in_the_end;
    if (settled.ok() || absl::Now() - begin > options_.settle_timeout) return settled;
    if (Cancelled()) return absl::CancelledError("interrupted");
    poll(nullptr, 0, kPollMilliseconds);
  }
}

absl::StatusOr<MemberFindings> Trial::Compare() {
  std::vector<std::future<absl::StatusOr<std::vector<StoredRow>>>> lists;
  for (std::size_t member = 0; member < kMembers; ++member) {
    lists.push_back(std::async(std::launch::async,
                               [this, member] { return federation_->api(member).ListAll(); }));
  }
  MemberFindings found;
  absl::Status status;
  for (auto& list : lists) {
    const absl::StatusOr<std::vector<StoredRow>> rows = list.get();
    status.Update(rows.status());
    if (rows.ok()) found.push_back(CheckStore(journals_, *rows));
  }
  if (!status.ok()) return status;
  return found;
}

absl::StatusOr<MemberFindings> Trial::CompareFiles() {
  AIMEM_ASSIGN_OR_RETURN(journals_, clients_->ReadJournals());
  MemberFindings found;
  for (std::size_t member = 0; member < kMembers; ++member) {
    AIMEM_ASSIGN_OR_RETURN(const std::vector<StoredRow> rows, federation_->Rows(member));
    found.push_back(CheckStore(journals_, rows));
  }
  return found;
}

absl::StatusOr<Digests> Trial::CompareDigests() {
  const absl::Time deadline = absl::Now() + options_.digest_timeout;
  while (true) {
    Digests digests;
    for (std::size_t member = 0; member < kMembers; ++member) {
      AIMEM_ASSIGN_OR_RETURN(MemberDigest digest, federation_->Digest(member));
      digests.members.push_back(std::move(digest));
    }
    if ((digests.SameVectors() && digests.SameRoots()) || absl::Now() > deadline) return digests;
    if (Cancelled()) return absl::CancelledError("interrupted");
    poll(nullptr, 0, kPollMilliseconds);
  }
}

}  // namespace aimem::campaign
