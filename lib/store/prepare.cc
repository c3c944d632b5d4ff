#include "lib/store/prepare.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/changes/meta.h"
#include "lib/model/parts.h"

namespace aimem::store {
namespace {

/// Whoever writes into the data of a member, in whatever process, reaches the disk: the member
/// tells its peers of what it finds there, and they count it.
absl::Status CheckDurableIfMember(Backend& backend, const StoreOptions& options,
                                  const Hooks& hooks) {
  absl::Status durable = backend.CheckDurable();
  if (durable.ok()) return durable;
  std::uint64_t quorum = static_cast<std::uint64_t>(hooks.quorum);
  if (quorum <= 1) {
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> read, backend.BeginRead());
    AIMEM_ASSIGN_OR_RETURN(const ReadResult found, read->Read({.meta = true}));
    quorum = changes::QuorumOf(found.meta);
  }
  if (quorum <= 1) {
    // Who is alone may live with it, and is told.
    LogSink* const log = options.environment.log;
    if (log != nullptr) log->Log(LogLevel::kWarning, ToStd(durable.message()));
    return absl::OkStatus();
  }
  return MakeStatus(durable.code(), absl::StrFormat("this is the data of a member of a federation "
                                                    "whose writes wait for %d members: %s",
                                                    quorum, durable.message()));
}

/// What has to be written so that `meta` names a member and the federation's W.
WriteSet MissingOf(const changes::Meta& meta, const StoreOptions& options, const Hooks& hooks,
                   Id128& member) {
  const auto wanted = static_cast<std::uint64_t>(hooks.quorum);
  WriteSet set;
  member = changes::MemberOf(meta);
  if (member == Id128()) {
    Random& random = options.environment.random ? *options.environment.random : SystemRandom();
    random.Fill(member.bytes);
    set.meta.emplace_back(changes::kMetaMember, std::string(AsBytes(member)));
  }
  if (wanted != 0 && changes::QuorumOf(meta) != wanted) {
    set.meta.emplace_back(changes::kMetaQuorum, model::EncodeU64(wanted));
  }
  return set;
}

absl::Status WriteMissing(Backend& backend, const StoreOptions& options, const Hooks& hooks,
                          Id128& member) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> write, backend.BeginWrite());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, write->Read({.meta = true}));
  const WriteSet set = MissingOf(found.meta, options, hooks, member);
  if (set.meta.empty()) return absl::OkStatus();
  AIMEM_RETURN_IF_ERROR(write->Put(set));
  return write->Commit().status;
}

}  // namespace

absl::StatusOr<PreparedMember> PrepareMember(Backend& backend, const StoreOptions& options,
                                             const Hooks& hooks) {
  AIMEM_RETURN_IF_ERROR(CheckDurableIfMember(backend, options, hooks));
  PreparedMember prepared;
  if (hooks.listener == nullptr && hooks.quorum == 0) return prepared;
  bool complete = false;
  bool named = false;
  {
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> read, backend.BeginRead());
    AIMEM_ASSIGN_OR_RETURN(const ReadResult found, read->Read({.meta = true}));
    complete = MissingOf(found.meta, options, hooks, prepared.member).meta.empty();
    named = changes::MemberOf(found.meta) != Id128();
  }
  // Also if nothing is missing: the write lock is had only by who may write.
  const absl::Status written = WriteMissing(backend, options, hooks, prepared.member);
  if (written.ok()) return prepared;
  // It may be well in a moment.
  const bool passing = absl::IsUnavailable(written) || absl::IsResourceExhausted(written);
  if (complete && passing) return prepared;
  if (hooks.listener != nullptr || hooks.quorum > 1) {
    return Annotate(written, "a member of a federation must be able to write its data");
  }
  // Who is alone serves reads: its W need not be written down where nobody can write.
  complete = complete || named;
  // Opened for reading, as it was asked for.
  if (complete && absl::IsFailedPrecondition(written)) return prepared;
  if (!complete || !absl::IsPermissionDenied(written)) return written;
  prepared.unwritable = std::string(ToStd(written.message()));
  if (LogSink* const log = options.environment.log; log != nullptr) {
    log->Log(LogLevel::kWarning, "only reads are served: " + prepared.unwritable);
  }
  return prepared;
}

}  // namespace aimem::store
