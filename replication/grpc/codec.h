// The bytes of the protocol's messages: replication/proto/replication.proto says what they mean.
//
// Everything that is read is checked here; what a decoder returns is within the limits. Decoders
// take a buffer apart: commits are copied once, out of the network's slices.
#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "grpcpp/support/byte_buffer.h"
#include "replication/protocol/messages.h"

namespace aimem::replication {

/// What one message may have, on both ends of every channel.
inline constexpr std::size_t kMessageBytesMax = 9u << 20;
inline constexpr int kStreamsMax = 10'000;     ///< Entries of a vector.
inline constexpr int kCommitsMax = 10'000;     ///< Of an Append.
inline constexpr int kRefusalsMax = 10'000;    ///< Of a reply to one.
inline constexpr int kPageItemsMax = 100'000;  ///< States, and commits, of a page.
inline constexpr int kRangesMax = 4'096;       ///< Of a Digest.
inline constexpr std::size_t kAddressBytesMax = 256;
inline constexpr std::size_t kTextBytesMax = 4'096;  ///< Messages for people: cut when sent.
inline constexpr std::size_t kKeyBytesMax = 4'096;

/// The buffer refers to the commits, which it keeps alive; they are not copied.
grpc::ByteBuffer Encode(const AppendRequest& request);
grpc::ByteBuffer Encode(const AppendReply& reply);
grpc::ByteBuffer Encode(const FetchRequest& request);
grpc::ByteBuffer Encode(ChangePage page);
grpc::ByteBuffer Encode(const DigestRequest& request);
grpc::ByteBuffer Encode(const DigestReply& reply);

/// kInvalidArgument names the field and its limit; kDataLoss: not a message, or, for a page, not
/// the one that was sent.
absl::StatusOr<AppendRequest> DecodeAppendRequest(const grpc::ByteBuffer& buffer);
absl::StatusOr<AppendReply> DecodeAppendReply(const grpc::ByteBuffer& buffer);
absl::StatusOr<FetchRequest> DecodeFetchRequest(const grpc::ByteBuffer& buffer);
absl::StatusOr<ChangePage> DecodeChangePage(const grpc::ByteBuffer& buffer);
absl::StatusOr<DigestRequest> DecodeDigestRequest(const grpc::ByteBuffer& buffer);
absl::StatusOr<DigestReply> DecodeDigestReply(const grpc::ByteBuffer& buffer);

}  // namespace aimem::replication
