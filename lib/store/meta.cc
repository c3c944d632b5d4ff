#include "lib/store/meta.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/model/parts.h"

namespace aimem::store {
namespace {

constexpr char kCursorVersion = 2;  // 1: without `seen`
constexpr char kScanning = 1;
constexpr char kHasAfter = 2;

/// Reads what EncodeCursor wrote; `sound` is false once something was missing.
struct CursorReader {
  std::string_view rest;
  bool sound = true;

  std::string_view Bytes(std::size_t size) {
    if (rest.size() < size) {
      sound = false;
      rest = {};
      return {};
    }
    const std::string_view bytes = rest.substr(0, size);
    rest.remove_prefix(size);
    return bytes;
  }
  std::uint64_t U64() { return model::DecodeU64(Bytes(8)).value_or(0); }
  VersionVector Vector() {
    VersionVector vector;
    for (std::uint64_t left = U64(); left > 0 && sound; --left) {
      const std::uint64_t stream = U64();
      vector[stream] = U64();
    }
    return vector;
  }
  char Byte() {
    const std::string_view byte = Bytes(1);
    return byte.empty() ? '\0' : byte[0];
  }
};

void AppendVector(const VersionVector& vector, std::string& bytes) {
  bytes += model::EncodeU64(vector.size());
  for (const auto& [stream, seq] : vector) {
    bytes += model::EncodeU64(stream);
    bytes += model::EncodeU64(seq);
  }
}

}  // namespace

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

std::string EncodeCursor(const ChangeCursor& cursor) {
  std::string bytes(1, kCursorVersion);
  bytes += static_cast<char>((cursor.scanning ? kScanning : 0) | (cursor.after ? kHasAfter : 0));
  bytes += model::EncodeU64(static_cast<std::uint64_t>(absl::ToUnixMillis(cursor.log_from)));
  AppendVector(cursor.vector, bytes);
  AppendVector(cursor.seen, bytes);
  if (cursor.after) {
    bytes += static_cast<char>(cursor.after->kind);
    bytes += cursor.after->key;
  }
  return bytes;
}

absl::StatusOr<std::optional<ChangeCursor>> InstallingOf(const Meta& meta) {
  const auto found = meta.find(kMetaInstall);
  if (found == meta.end() || found->second.empty()) return std::nullopt;
  CursorReader reader{found->second};
  ChangeCursor cursor;
  const char version = reader.Byte();
  const char flags = reader.Byte();
  cursor.scanning = (flags & kScanning) != 0;
  const auto log_from_ms = static_cast<std::int64_t>(reader.U64());
  if (log_from_ms != absl::ToUnixMillis(absl::InfiniteFuture())) {
    cursor.log_from = absl::FromUnixMillis(log_from_ms);
  }
  cursor.vector = reader.Vector();
  if (version > 1) cursor.seen = reader.Vector();
  if ((flags & kHasAfter) != 0) {
    const auto kind = static_cast<Kind>(static_cast<std::uint8_t>(reader.Byte()));
    cursor.after = EntityKey{kind, std::string(reader.rest)};
    reader.rest = {};
  }
  if (version < 1 || version > kCursorVersion || !reader.sound || !reader.rest.empty()) {
    return absl::DataLossError(
        "meta 'install' does not decode: where the filling of this store stopped is lost; remove "
        "the store and fill it again");
  }
  return cursor;
}

namespace {

/// Whoever writes into the data of a member, in whatever process, reaches the disk: the member
/// tells its peers of what it finds there, and they count it.
absl::Status CheckDurableIfMember(Backend& backend, const StoreOptions& options) {
  absl::Status durable = backend.CheckDurable();
  if (durable.ok()) return durable;
  std::uint64_t quorum = static_cast<std::uint64_t>(options.quorum);
  if (quorum <= 1) {
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> read, backend.BeginRead());
    AIMEM_ASSIGN_OR_RETURN(const ReadResult found, read->Read({.meta = true}));
    quorum = QuorumOf(found.meta);
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
WriteSet MissingOf(const Meta& meta, const StoreOptions& options, Id128& member) {
  const auto wanted = static_cast<std::uint64_t>(options.quorum);
  WriteSet set;
  member = MemberOf(meta);
  if (member == Id128()) {
    Random& random = options.environment.random ? *options.environment.random : SystemRandom();
    random.Fill(member.bytes);
    set.meta.emplace_back(kMetaMember, std::string(AsBytes(member)));
  }
  if (wanted != 0 && QuorumOf(meta) != wanted) {
    set.meta.emplace_back(kMetaQuorum, model::EncodeU64(wanted));
  }
  return set;
}

absl::Status WriteMissing(Backend& backend, const StoreOptions& options, Id128& member) {
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> write, backend.BeginWrite());
  AIMEM_ASSIGN_OR_RETURN(const ReadResult found, write->Read({.meta = true}));
  const WriteSet set = MissingOf(found.meta, options, member);
  if (set.meta.empty()) return absl::OkStatus();
  AIMEM_RETURN_IF_ERROR(write->Put(set));
  return write->Commit().status;
}

}  // namespace

absl::StatusOr<PreparedMember> PrepareMember(Backend& backend, const StoreOptions& options) {
  AIMEM_RETURN_IF_ERROR(CheckDurableIfMember(backend, options));
  PreparedMember prepared;
  if (options.listener == nullptr && options.quorum == 0) return prepared;
  bool complete = false;
  bool named = false;
  {
    AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Transaction> read, backend.BeginRead());
    AIMEM_ASSIGN_OR_RETURN(const ReadResult found, read->Read({.meta = true}));
    complete = MissingOf(found.meta, options, prepared.member).meta.empty();
    named = MemberOf(found.meta) != Id128();
  }
  // Also if nothing is missing: the write lock is had only by who may write.
  const absl::Status written = WriteMissing(backend, options, prepared.member);
  if (written.ok()) return prepared;
  // It may be well in a moment.
  const bool passing = absl::IsUnavailable(written) || absl::IsResourceExhausted(written);
  if (complete && passing) return prepared;
  if (options.listener != nullptr || options.quorum > 1) {
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
