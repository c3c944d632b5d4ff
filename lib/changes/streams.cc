#include "lib/changes/streams.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/execute/rows.h"
#include "lib/index/manifest.h"
#include "lib/log/commit.h"
#include "lib/model/parts.h"

namespace aimem::changes {
namespace {

constexpr std::size_t kFormerBytes = 9;  // the stream, and whether it is lost

std::optional<StreamHead> DecodeHead(std::string_view bytes) {
  StreamHead head;
  if (bytes.size() != 16 + head.hash.size()) return std::nullopt;
  head.seq = model::DecodeU64(bytes.substr(0, 8)).value_or(0);
  head.hlc = model::DecodeU64(bytes.substr(8, 8)).value_or(0);
  std::copy(bytes.begin() + 16, bytes.end(), head.hash.begin());
  return head;
}

/// Join the heads that were adopted into those of the log.
absl::Status AddAdopted(const Meta& meta, StreamHeads& heads, StreamHeads& adopted) {
  constexpr std::string_view kPrefix = kMetaHead;
  for (auto it = meta.lower_bound(kMetaHead); it != meta.end(); ++it) {
    if (!it->first.starts_with(kPrefix)) break;
    std::uint64_t stream = 0;
    const std::string digits = it->first.substr(kPrefix.size());
    const std::optional<StreamHead> head = DecodeHead(it->second);
    if (digits.size() != 16 || !absl::SimpleHexAtoi(digits, &stream) || !head) {
      return absl::DataLossError(
          absl::StrCat("meta '", it->first, "' does not decode: run doctor"));
    }
    if (head->seq == 0) continue;  // given up
    adopted[stream] = *head;
    if (head->seq > heads[stream].seq) heads[stream] = *head;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<FormerStream>> FormerOf(const Meta& meta) {
  std::vector<FormerStream> former;
  const auto found = meta.find(kMetaFormer);
  if (found == meta.end()) return former;
  std::string_view rest = found->second;
  for (; rest.size() >= kFormerBytes; rest.remove_prefix(kFormerBytes)) {
    const auto fate = static_cast<FormerStream::Fate>(rest[8]);
    if (fate > FormerStream::Fate::kYielded) break;
    former.push_back({model::DecodeU64(rest.substr(0, 8)).value_or(0), fate});
  }
  if (!rest.empty()) return absl::DataLossError("meta 'former' does not decode: run doctor");
  return former;
}

void KeepFormer(Streams& streams, WriteSet& set) {
  // Of those that are too many, what is not lost matters least.
  while (streams.former.size() > kFormerStreamsMax) {
    auto oldest = std::find_if(streams.former.begin(), streams.former.end(),
                               [](const FormerStream& one) { return !one.lost(); });
    if (oldest == streams.former.end()) oldest = streams.former.begin();
    streams.former.erase(oldest);
  }
  std::string bytes;
  for (const FormerStream& one : streams.former) {
    bytes += model::EncodeU64(one.stream);
    bytes += static_cast<char>(one.fate);
  }
  SetMeta(set, kMetaFormer, std::move(bytes));
}

/// Go on as a new stream. Others may hold more of the one that was written: whoever serves the
/// store asks them before it executes anything on what may be old data.
void Draw(Streams& streams, Random& random, WriteSet& set) {
  if (streams.stream != 0) {
    streams.former.push_back({streams.stream, FormerStream::Fate::kLost});
    KeepFormer(streams, set);
  }
  do {
    std::array<std::uint8_t, 8> bytes{};
    random.Fill(bytes);
    streams.stream = 0;
    for (const std::uint8_t byte : bytes) streams.stream = streams.stream << 8 | byte;
  } while (streams.stream == 0 || streams.stream == execute::kOwnStamp.stream ||
           streams.heads.contains(streams.stream));
  SetMeta(set, kMetaStream, model::EncodeU64(streams.stream));
}

}  // namespace

log::StoreState Streams::State() const {
  log::StoreState state;
  state.stream = stream;
  for (const FormerStream& one : former) {
    if (one.lost()) state.lost.push_back(one.stream);
    if (one.fate == FormerStream::Fate::kYielded) state.yielded.push_back(one.stream);
  }
  state.installing = installing.has_value();
  if (!installing) state.heads = Readable();
  return state;
}

StreamHeads Streams::Readable() const {
  StreamHeads all = heads;
  for (const auto& [of, head] : readable) {
    const auto found = all.find(of);
    if (found == all.end() || found->second.hash != Hash256{}) continue;
    found->second = head;
    if (head.seq == 0) all.erase(found);
  }
  return all;
}

VersionVector Streams::Vector() const {
  return installing ? VersionVector() : VectorOf(Readable());
}

bool Streams::Ours(std::uint64_t of) const {
  return of == stream || std::any_of(former.begin(), former.end(),
                                     [&](const FormerStream& one) { return one.stream == of; });
}

absl::StatusOr<Streams> StreamsOf(const ReadResult& read) {
  Streams streams;
  streams.member = MemberOf(read.meta);
  if (const auto found = read.meta.find(kMetaStream); found != read.meta.end()) {
    const std::optional<std::uint64_t> value = model::DecodeU64(found->second);
    if (!value) return absl::DataLossError("meta 'stream' is not 8 bytes: run doctor");
    streams.stream = *value;
  }
  AIMEM_ASSIGN_OR_RETURN(streams.former, FormerOf(read.meta));
  AIMEM_ASSIGN_OR_RETURN(streams.installing, InstallingOf(read.meta));
  if (const auto found = read.meta.find(kMetaErasing); found != read.meta.end()) {
    streams.erasing = found->second;
  }
  for (const LogRow& row : read.heads) {
    // One that does not begin as a commit keeps its place: what it was, nobody knows any more.
    const std::optional<StreamHead> head = log::PeekHead(row.bytes);
    streams.heads[row.stream] = head ? *head : StreamHead{.seq = row.seq};
  }
  AIMEM_RETURN_IF_ERROR(AddAdopted(read.meta, streams.heads, streams.adopted));
  return streams;
}

absl::StatusOr<Streams> StreamsOf(const ReadResult& read, const VersionVector& unreadable,
                                  Transaction& transaction) {
  AIMEM_ASSIGN_OR_RETURN(Streams streams, StreamsOf(read));
  for (auto& [stream, head] : streams.heads) {
    const auto found = unreadable.find(stream);
    if (found != unreadable.end() && found->second == head.seq) head.hash = {};
    if (head.hash != Hash256{}) continue;
    StreamHead& readable = streams.readable[stream];
    for (std::uint64_t seq = head.seq; seq > 1; --seq) {
      AIMEM_ASSIGN_OR_RETURN(const std::vector<LogRow> rows,
                             transaction.ReadLog(stream, seq - 2, 1, 1));
      if (rows.empty() || rows.front().seq != seq - 1) break;
      const absl::StatusOr<log::Commit> commit = log::DecodeCommit(rows.front().bytes);
      if (!commit.ok()) continue;
      readable = {seq - 1, commit->header.hlc, commit->header.content_hash};
      break;
    }
  }
  return streams;
}

void SetMeta(WriteSet& set, std::string_view key, std::string value) {
  std::erase_if(set.meta, [&](const auto& entry) { return entry.first == key; });
  set.meta.emplace_back(std::string(key), std::move(value));
}

std::string FreshBytes(Random& random) {
  std::array<std::uint8_t, 8> bytes{};
  random.Fill(bytes);
  return {bytes.begin(), bytes.end()};
}

void NoteErasing(Random& random, Streams& streams, WriteSet& set) {
  streams.erasing = FreshBytes(random);
  SetMeta(set, kMetaErasing, streams.erasing);
  SetMeta(set, kMetaIndex, index::NoPlace(streams.erasing));  // what is there has the words
}

void Settle(Random& random, WriteSet& set) { SetMeta(set, kMetaSettled, FreshBytes(random)); }

std::uint64_t FindStreamToForsake(const Streams& streams, const CheckedPage& page) {
  const auto known_further = [&](std::uint64_t stream, std::uint64_t seq, const Hash256& hash) {
    const bool lost =
        std::any_of(streams.former.begin(), streams.former.end(),
                    [&](const FormerStream& one) { return one.stream == stream && one.lost(); });
    if (lost || !streams.Ours(stream)) return false;
    const auto found = streams.heads.find(stream);
    const StreamHead ours = found == streams.heads.end() ? StreamHead() : found->second;
    return seq > ours.seq || (seq == ours.seq && seq > 0 && hash != ours.hash);
  };
  for (const CheckedPage::CommitBytes& item : page.commits) {
    const log::CommitHeader& header = item.commit.header;
    if (known_further(header.stream, header.seq, header.content_hash)) return header.stream;
  }
  if (!page.adopt) return 0;
  for (const auto& [stream, head] : *page.adopt) {
    if (known_further(stream, head.seq, head.hash)) return stream;
  }
  return 0;
}

void JoinInto(VersionVector& vector, const VersionVector& other) {
  for (const auto& [stream, seq] : other) {
    std::uint64_t& known = vector[stream];
    known = std::max(known, seq);
  }
}

void SetHead(std::uint64_t stream, const StreamHead& head, WriteSet& set) {
  SetMeta(
      set, absl::StrFormat("%s%016x", kMetaHead, stream),
      model::EncodeU64(head.seq) + model::EncodeU64(head.hlc) + std::string(AsBytes(head.hash)));
}

absl::StatusOr<std::string> ChooseStream(const Meta& meta, const std::string& identity,
                                         Streams& streams, Random& random, WriteSet& set) {
  const auto kept = meta.find(kMetaIdentity);
  const bool begun = streams.stream != 0;
  if (begun && kept != meta.end() && kept->second == identity) return std::string();
  if (streams.member == Id128()) {
    random.Fill(streams.member.bytes);
    SetMeta(set, kMetaMember, std::string(AsBytes(streams.member)));
  }
  SetMeta(set, kMetaIdentity, identity);
  const std::uint64_t before = streams.stream;
  Draw(streams, random, set);
  if (!begun) return std::string();
  return absl::StrFormat(
      "the data lies elsewhere than before: it was copied, moved or restored, or its server failed "
      "over (from '%s' to '%s'); stream %016x continues as %016x",
      kept == meta.end() ? std::string() : kept->second, identity, before, streams.stream);
}

bool ForsakeStream(std::uint64_t stream, Streams& streams, Random& random, WriteSet& set) {
  if (stream == 0 || !streams.Ours(stream)) return false;
  if (stream == streams.stream) {
    Draw(streams, random, set);
    return true;
  }
  const auto found = std::find_if(streams.former.begin(), streams.former.end(),
                                  [&](const FormerStream& one) { return one.stream == stream; });
  if (found->lost()) return false;
  found->fate = FormerStream::Fate::kLost;
  KeepFormer(streams, set);
  return true;
}

bool NoteYielded(std::uint64_t stream, Streams& streams, WriteSet& set) {
  for (FormerStream& one : streams.former) {
    if (one.stream != stream || one.fate == FormerStream::Fate::kYielded) continue;
    one.fate = FormerStream::Fate::kYielded;
    KeepFormer(streams, set);
    return true;
  }
  return false;
}

absl::Status CheckMember(const Streams& streams, const Id128& member) {
  if (member == Id128() || streams.member == member) return absl::OkStatus();
  const std::string now =
      streams.member == Id128() ? std::string("it is empty") : streams.member.ToString();
  return absl::FailedPreconditionError(absl::StrCat("this is another store's data now: it was ",
                                                    member.ToString(), " when it was opened, and ",
                                                    now, ": put the data back, or open it again"));
}

}  // namespace aimem::changes
