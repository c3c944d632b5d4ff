#include "replication/grpc/codec.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "google/protobuf/io/coded_stream.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "replication.pb.h"

namespace aimem::replication {
namespace {

using Positions = google::protobuf::RepeatedPtrField<v1::Position>;

// -- Buffers --------------------------------------------------------------------------------------

grpc::ByteBuffer ToBuffer(const google::protobuf::MessageLite& message) {
  grpc::Slice slice(message.ByteSizeLong());
  // The slice is new and nobody else has it.
  message.SerializeWithCachedSizesToArray(const_cast<std::uint8_t*>(slice.begin()));
  return {&slice, 1};
}

absl::Status FromBuffer(const grpc::ByteBuffer& buffer, google::protobuf::MessageLite& message,
                        const char* what) {
  // The reader wants a buffer that it may unpack; copying one copies references.
  grpc::ByteBuffer copy(buffer);
  if (!copy.Valid()) return absl::DataLossError(absl::StrFormat("%s is missing", what));
  grpc::ProtoBufferReader reader(&copy);
  if (!reader.status().ok() || !message.ParseFromZeroCopyStream(&reader)) {
    return absl::DataLossError(absl::StrFormat("what came is not %s", what));
  }
  return absl::OkStatus();
}

// -- Checks ---------------------------------------------------------------------------------------

absl::Status TooMany(const char* field, std::int64_t count, std::int64_t limit) {
  return absl::InvalidArgumentError(
      absl::StrFormat("%s has %d entries, more than %d", field, count, limit));
}

absl::Status TooLong(const char* field, std::size_t bytes, std::size_t limit) {
  return absl::InvalidArgumentError(
      absl::StrFormat("%s has %d bytes, more than %d", field, bytes, limit));
}

template <typename Value>
absl::Status Exactly(const char* field, const std::string& bytes, Value& value) {
  if (bytes.size() != value.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has %d bytes instead of %d", field, bytes.size(), value.size()));
  }
  std::copy(bytes.begin(), bytes.end(), value.begin());
  return absl::OkStatus();
}

// -- Parts ----------------------------------------------------------------------------------------

void Put(const VersionVector& vector, Positions& positions) {
  positions.Reserve(static_cast<int>(vector.size()));
  for (const auto& [stream, seq] : vector) {
    v1::Position& position = *positions.Add();
    position.set_stream(stream);
    position.set_seq(seq);
  }
}

enum class Zeros { kKeep, kDrop };

absl::StatusOr<VersionVector> Take(const char* field, const Positions& positions,
                                   Zeros zeros = Zeros::kDrop) {
  if (positions.size() > kStreamsMax) return TooMany(field, positions.size(), kStreamsMax);
  VersionVector vector;
  for (const v1::Position& position : positions) {
    if (position.seq() == 0 && zeros == Zeros::kDrop) continue;
    if (!vector.emplace(position.stream(), position.seq()).second) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s names stream %016x twice", field, position.stream()));
    }
  }
  return vector;
}

void Put(const StreamHeads& heads, Positions& positions) {
  positions.Reserve(static_cast<int>(heads.size()));
  for (const auto& [stream, head] : heads) {
    v1::Position& position = *positions.Add();
    position.set_stream(stream);
    position.set_seq(head.seq);
    position.set_hlc(head.hlc);
    if (head.hash != Hash256{}) position.set_hash(std::string(AsBytes(head.hash)));
  }
}

absl::StatusOr<StreamHeads> TakeHeads(const char* field, const Positions& positions) {
  if (positions.size() > kStreamsMax) return TooMany(field, positions.size(), kStreamsMax);
  StreamHeads heads;
  for (const v1::Position& position : positions) {
    if (position.seq() == 0) continue;
    StreamHead head{.seq = position.seq(), .hlc = position.hlc()};
    if (!position.hash().empty()) {
      AIMEM_RETURN_IF_ERROR(Exactly("position.hash", position.hash(), head.hash));
    }
    if (!heads.emplace(position.stream(), head).second) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s names stream %016x twice", field, position.stream()));
    }
  }
  return heads;
}

void Put(const Root& root, v1::Root& out) {
  Put(root.vector, *out.mutable_vector());
  out.set_sum(std::string(AsBytes(root.sum)));
}

absl::StatusOr<std::optional<Root>> Take(bool present, const v1::Root& in) {
  if (!present) return std::nullopt;
  Root root;
  AIMEM_ASSIGN_OR_RETURN(root.vector, Take("root.vector", in.vector()));
  AIMEM_RETURN_IF_ERROR(Exactly("root.sum", in.sum(), root.sum.bytes));
  return root;
}

void Put(const Header& header, v1::Header& out) {
  out.set_protocol_min(header.protocol_min);
  out.set_protocol_max(header.protocol_max);
  out.set_cluster(header.cluster);
  out.set_epoch(header.epoch);
  out.set_member(std::string(AsBytes(header.member)));
  out.set_incarnation(header.incarnation);
  out.set_sequence(header.sequence);
  Put(header.heads, *out.mutable_vector());
  if (header.quiet_until != 0) {
    out.set_quiet_until(header.quiet_until);
    out.set_quiet(std::string(AsBytes(header.quiet)));
  }
  out.mutable_yielded()->Assign(header.yielded.begin(), header.yielded.end());
  out.set_hlc(header.hlc);
  out.set_wall_ms(header.wall_ms);
  out.set_learner(header.learner);
  out.set_address(header.address);
}

absl::StatusOr<Header> Take(v1::Header& in) {
  Header header;
  if (in.cluster().size() > kAddressBytesMax) {
    return TooLong("header.cluster", in.cluster().size(), kAddressBytesMax);
  }
  if (in.address().size() > kAddressBytesMax) {
    return TooLong("header.address", in.address().size(), kAddressBytesMax);
  }
  header.protocol_min = in.protocol_min();
  header.protocol_max = in.protocol_max();
  header.cluster = std::move(*in.mutable_cluster());
  header.epoch = in.epoch();
  AIMEM_RETURN_IF_ERROR(Exactly("header.member", in.member(), header.member.bytes));
  header.incarnation = in.incarnation();
  header.sequence = in.sequence();
  AIMEM_ASSIGN_OR_RETURN(header.heads, TakeHeads("header.vector", in.vector()));
  header.quiet_until = in.quiet_until();
  if (header.quiet_until != 0) {
    AIMEM_RETURN_IF_ERROR(Exactly("header.quiet", in.quiet(), header.quiet));
  }
  if (static_cast<std::size_t>(in.yielded_size()) > kYieldedStreamsMax) {
    return TooMany("header.yielded", in.yielded_size(), kYieldedStreamsMax);
  }
  header.yielded.assign(in.yielded().begin(), in.yielded().end());
  header.hlc = in.hlc();
  // Far from every clock, and near no end of the type: differences are taken of it.
  constexpr std::int64_t kWallMax = std::int64_t{1} << 53;
  header.wall_ms = std::clamp<std::int64_t>(in.wall_ms(), -kWallMax, kWallMax);
  header.learner = in.learner();
  header.address = std::move(*in.mutable_address());
  return header;
}

void Put(const EntityKey& key, v1::EntityKey& out) {
  out.set_kind(static_cast<std::uint32_t>(key.kind));
  out.set_key(key.key);
}

absl::StatusOr<EntityKey> Take(v1::EntityKey& in) {
  if (in.kind() < 1 || in.kind() > 255) {
    return absl::InvalidArgumentError(absl::StrFormat("kind %d is not in [1, 255]", in.kind()));
  }
  if (in.key().size() > kKeyBytesMax) return TooLong("key", in.key().size(), kKeyBytesMax);
  return EntityKey{static_cast<Kind>(in.kind()), std::move(*in.mutable_key())};
}

void Put(const ChangeCursor& cursor, v1::ChangeCursor& out) {
  Put(cursor.vector, *out.mutable_vector());
  out.set_scanning(cursor.scanning);
  if (cursor.after) Put(*cursor.after, *out.mutable_after());
  if (cursor.log_from != absl::InfiniteFuture()) {
    out.set_log_from_ms(absl::ToUnixMillis(cursor.log_from));
  }
  Put(cursor.seen, *out.mutable_seen());
}

absl::StatusOr<ChangeCursor> Take(v1::ChangeCursor& in) {
  ChangeCursor cursor;
  AIMEM_ASSIGN_OR_RETURN(cursor.vector, Take("cursor.vector", in.vector()));
  cursor.scanning = in.scanning();
  if (in.has_after()) {
    AIMEM_ASSIGN_OR_RETURN(cursor.after, Take(*in.mutable_after()));
  }
  if (in.has_log_from_ms()) cursor.log_from = absl::FromUnixMillis(in.log_from_ms());
  AIMEM_ASSIGN_OR_RETURN(cursor.seen, Take("cursor.seen", in.seen()));
  return cursor;
}

// A message for people may have any length where it is made; half a character is left out.
std::string Cut(const std::string& text) {
  if (text.size() <= kTextBytesMax) return text;
  std::size_t end = kTextBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

absl::StatusOr<std::string> TakeText(std::string& text) {
  if (text.size() > kTextBytesMax) return TooLong("message", text.size(), kTextBytesMax);
  return std::move(text);
}

// The value that this build does not know is passed on; what does not fit is the last one that
// does.
Refusal TakeRefusal(int code) { return static_cast<Refusal>(std::clamp(code, 0, 255)); }

// One field of a message of which the rest is written elsewhere: its tag and length.
grpc::Slice FieldHead(int number, std::size_t bytes) {
  std::uint8_t head[16];
  constexpr int kLengthDelimited = 2;
  std::uint8_t* end = google::protobuf::io::CodedOutputStream::WriteVarint32ToArray(
      static_cast<std::uint32_t>(number << 3 | kLengthDelimited), head);
  end = google::protobuf::io::CodedOutputStream::WriteVarint64ToArray(bytes, end);
  return {head, static_cast<std::size_t>(end - head)};
}

grpc::Slice Share(const std::shared_ptr<const std::string>& bytes) {
  using Owner = std::shared_ptr<const std::string>;
  // gRPC never writes to a slice that it sends.
  return {const_cast<char*>(bytes->data()), bytes->size(),
          [](void* owner) { delete static_cast<Owner*>(owner); }, new Owner(bytes)};
}

}  // namespace

// -- Append ---------------------------------------------------------------------------------------

grpc::ByteBuffer Encode(const AppendRequest& request) {
  v1::AppendRequest out;
  Put(request.header, *out.mutable_header());
  Put(request.before, *out.mutable_before());
  out.set_catch_up(request.catch_up);
  out.set_needs_resync(request.needs_resync);
  out.set_all_heads(request.all_heads);
  // Fields may follow in any order, so the commits are put after the rest, by reference.
  constexpr std::size_t kSmall = 512;
  std::vector<grpc::Slice> slices;
  slices.reserve(1 + 2 * request.commits.size());
  std::size_t size = out.ByteSizeLong();
  slices.emplace_back(size);
  out.SerializeWithCachedSizesToArray(const_cast<std::uint8_t*>(slices[0].begin()));
  for (const std::shared_ptr<const std::string>& commit : request.commits) {
    slices.push_back(FieldHead(v1::AppendRequest::kCommitsFieldNumber, commit->size()));
    slices.push_back(commit->size() < kSmall ? grpc::Slice(*commit) : Share(commit));
  }
  return {slices.data(), slices.size()};
}

absl::StatusOr<AppendRequest> DecodeAppendRequest(const grpc::ByteBuffer& buffer) {
  v1::AppendRequest in;
  AIMEM_RETURN_IF_ERROR(FromBuffer(buffer, in, "an Append request"));
  if (in.commits_size() > kCommitsMax) return TooMany("commits", in.commits_size(), kCommitsMax);
  AppendRequest request;
  AIMEM_ASSIGN_OR_RETURN(request.header, Take(*in.mutable_header()));
  AIMEM_ASSIGN_OR_RETURN(request.before, Take("before", in.before(), Zeros::kKeep));
  request.commits.reserve(static_cast<std::size_t>(in.commits_size()));
  for (std::string& commit : *in.mutable_commits()) {
    request.commits.push_back(std::make_shared<const std::string>(std::move(commit)));
  }
  request.catch_up = in.catch_up();
  request.needs_resync = in.needs_resync();
  request.all_heads = in.all_heads();
  return request;
}

grpc::ByteBuffer Encode(const AppendReply& reply) {
  v1::AppendReply out;
  Put(reply.header, *out.mutable_header());
  out.set_refused(static_cast<v1::Refusal>(reply.refused));
  out.set_message(Cut(reply.message));
  // Whoever cannot read them all learns from the vector what was not taken.
  const std::size_t count = std::min<std::size_t>(reply.refusals.size(), kRefusalsMax);
  for (std::size_t i = 0; i < count; ++i) {
    const AppendReply::Refused& refused = reply.refusals[i];
    v1::AppendReply::Refused& entry = *out.add_refusals();
    entry.set_stream(refused.stream);
    entry.set_seq(refused.seq);
    entry.set_code(static_cast<v1::Refusal>(refused.code));
    entry.set_message(Cut(refused.message));
  }
  out.set_credit_bytes(reply.credit_bytes);
  out.set_credit_commits(reply.credit_commits);
  if (reply.root) Put(*reply.root, *out.mutable_root());
  return ToBuffer(out);
}

absl::StatusOr<AppendReply> DecodeAppendReply(const grpc::ByteBuffer& buffer) {
  v1::AppendReply in;
  AIMEM_RETURN_IF_ERROR(FromBuffer(buffer, in, "a reply to an Append"));
  if (in.refusals_size() > kRefusalsMax) {
    return TooMany("refusals", in.refusals_size(), kRefusalsMax);
  }
  AppendReply reply;
  AIMEM_ASSIGN_OR_RETURN(reply.header, Take(*in.mutable_header()));
  reply.refused = TakeRefusal(in.refused());
  AIMEM_ASSIGN_OR_RETURN(reply.message, TakeText(*in.mutable_message()));
  for (v1::AppendReply::Refused& entry : *in.mutable_refusals()) {
    AppendReply::Refused refused{entry.stream(), entry.seq(), TakeRefusal(entry.code()), {}};
    AIMEM_ASSIGN_OR_RETURN(refused.message, TakeText(*entry.mutable_message()));
    reply.refusals.push_back(std::move(refused));
  }
  reply.credit_bytes = in.credit_bytes();
  reply.credit_commits = in.credit_commits();
  AIMEM_ASSIGN_OR_RETURN(reply.root, Take(in.has_root(), in.root()));
  return reply;
}

// -- Fetch ----------------------------------------------------------------------------------------

grpc::ByteBuffer Encode(const FetchRequest& request) {
  v1::FetchRequest out;
  Put(request.header, *out.mutable_header());
  Put(request.cursor, *out.mutable_cursor());
  return ToBuffer(out);
}

absl::StatusOr<FetchRequest> DecodeFetchRequest(const grpc::ByteBuffer& buffer) {
  v1::FetchRequest in;
  AIMEM_RETURN_IF_ERROR(FromBuffer(buffer, in, "a Fetch request"));
  FetchRequest request;
  AIMEM_ASSIGN_OR_RETURN(request.header, Take(*in.mutable_header()));
  AIMEM_ASSIGN_OR_RETURN(request.cursor, Take(*in.mutable_cursor()));
  return request;
}

grpc::ByteBuffer Encode(ChangePage page) {
  v1::ChangePage out;
  for (EntityState& state : page.states) {
    v1::EntityState& entry = *out.add_states();
    Put(state.key, *entry.mutable_key());
    entry.set_state(std::move(state.state));
  }
  for (std::string& commit : page.commits) out.add_commits(std::move(commit));
  if (page.adopt) Put(*page.adopt, *out.mutable_adopt()->mutable_positions());
  Put(page.next, *out.mutable_next());
  out.set_end(page.end);
  v1::FetchPage wrapped;
  wrapped.set_page(out.SerializeAsString());
  wrapped.set_sha256(std::string(AsBytes(Sha256({wrapped.page()}))));
  return ToBuffer(wrapped);
}

absl::StatusOr<ChangePage> DecodeChangePage(const grpc::ByteBuffer& buffer) {
  v1::FetchPage wrapped;
  AIMEM_RETURN_IF_ERROR(FromBuffer(buffer, wrapped, "a page"));
  Hash256 hash;
  AIMEM_RETURN_IF_ERROR(Exactly("sha256", wrapped.sha256(), hash));
  if (hash != Sha256({wrapped.page()})) {
    return absl::DataLossError("a page does not have the hash that came with it");
  }
  v1::ChangePage in;
  if (!in.ParseFromString(wrapped.page())) return absl::DataLossError("what came is not a page");
  if (in.states_size() > kPageItemsMax) return TooMany("states", in.states_size(), kPageItemsMax);
  if (in.commits_size() > kPageItemsMax) {
    return TooMany("commits", in.commits_size(), kPageItemsMax);
  }
  ChangePage page;
  page.states.reserve(static_cast<std::size_t>(in.states_size()));
  for (v1::EntityState& entry : *in.mutable_states()) {
    EntityState state;
    AIMEM_ASSIGN_OR_RETURN(state.key, Take(*entry.mutable_key()));
    state.state = std::move(*entry.mutable_state());
    page.states.push_back(std::move(state));
  }
  page.commits.reserve(static_cast<std::size_t>(in.commits_size()));
  for (std::string& commit : *in.mutable_commits()) page.commits.push_back(std::move(commit));
  if (in.has_adopt()) {
    AIMEM_ASSIGN_OR_RETURN(page.adopt, TakeHeads("adopt", in.adopt().positions()));
    for (const auto& [stream, head] : *page.adopt) {
      if (head.hash == Hash256{}) {
        return absl::InvalidArgumentError(
            absl::StrFormat("adopt names no hash for stream %016x", stream));
      }
    }
  }
  AIMEM_ASSIGN_OR_RETURN(page.next, Take(*in.mutable_next()));
  page.end = in.end();
  return page;
}

// -- Digest ---------------------------------------------------------------------------------------

grpc::ByteBuffer Encode(const DigestRequest& request) {
  v1::DigestRequest out;
  Put(request.header, *out.mutable_header());
  for (const DigestRange& range : request.ranges) {
    v1::DigestRange& entry = *out.add_ranges();
    entry.set_first(std::string(AsBytes(range.first)));
    if (range.last) entry.set_last(std::string(AsBytes(*range.last)));
  }
  return ToBuffer(out);
}

absl::StatusOr<DigestRequest> DecodeDigestRequest(const grpc::ByteBuffer& buffer) {
  v1::DigestRequest in;
  AIMEM_RETURN_IF_ERROR(FromBuffer(buffer, in, "a Digest request"));
  if (in.ranges_size() > kRangesMax) return TooMany("ranges", in.ranges_size(), kRangesMax);
  DigestRequest request;
  AIMEM_ASSIGN_OR_RETURN(request.header, Take(*in.mutable_header()));
  for (const v1::DigestRange& entry : in.ranges()) {
    DigestRange range;
    AIMEM_RETURN_IF_ERROR(Exactly("range.first", entry.first(), range.first));
    if (!entry.last().empty()) {
      AIMEM_RETURN_IF_ERROR(Exactly("range.last", entry.last(), range.last.emplace()));
    }
    request.ranges.push_back(range);
  }
  return request;
}

grpc::ByteBuffer Encode(const DigestReply& reply) {
  v1::DigestReply out;
  Put(reply.result.vector, *out.mutable_vector());
  for (const DigestResult::Sum& sum : reply.result.sums) {
    v1::DigestReply::Sum& entry = *out.add_sums();
    entry.set_sum(std::string(AsBytes(sum.sum)));
    entry.set_entities(static_cast<std::uint64_t>(sum.entities));
  }
  return ToBuffer(out);
}

absl::StatusOr<DigestReply> DecodeDigestReply(const grpc::ByteBuffer& buffer) {
  v1::DigestReply in;
  AIMEM_RETURN_IF_ERROR(FromBuffer(buffer, in, "a reply to a Digest"));
  if (in.sums_size() > kRangesMax) return TooMany("sums", in.sums_size(), kRangesMax);
  DigestReply reply;
  AIMEM_ASSIGN_OR_RETURN(reply.result.vector, Take("vector", in.vector()));
  for (const v1::DigestReply::Sum& entry : in.sums()) {
    DigestResult::Sum sum;
    AIMEM_RETURN_IF_ERROR(Exactly("sum", entry.sum(), sum.sum.bytes));
    if (entry.entities() > static_cast<std::uint64_t>(INT64_MAX)) {
      return absl::InvalidArgumentError("sum.entities does not fit 63 bits");
    }
    sum.entities = static_cast<std::int64_t>(entry.entities());
    reply.result.sums.push_back(sum);
  }
  return reply;
}

}  // namespace aimem::replication
