// Every size that a store limits, for hosts that want to check before they ask.
#pragma once

#include <cstddef>
#include <cstdint>

namespace aimem::limits {

inline constexpr std::size_t kTitleCharacters = 512;
inline constexpr std::size_t kContentBytes = 65'536;
inline constexpr std::size_t kNamespaceCharacters = 512;
inline constexpr std::size_t kNamespaceDepth = 8;
inline constexpr std::size_t kTags = 50;
inline constexpr std::size_t kTagBytes = 128;
inline constexpr std::size_t kMetadataBytes = 65'536;
inline constexpr int kMetadataDepth = 32;
/// What one memory keeps of its metadata: keys, those included that updates have cleared since it
/// was last stored as a whole, and bytes of them as stored (docs/formats/state.md).
inline constexpr std::size_t kMetadataKeys = 20'000;
inline constexpr std::size_t kMetadataStateBytes = 256u << 10;
inline constexpr std::size_t kIdBytes = 128;
inline constexpr std::size_t kAgentIdBytes = 128;
inline constexpr std::size_t kAgentTypeBytes = 64;
inline constexpr std::size_t kSourceBytes = 64;
inline constexpr std::size_t kRequestIdBytes = 256;
inline constexpr std::size_t kConsolidateMin = 2;
inline constexpr std::size_t kConsolidateMax = 100;
inline constexpr std::int64_t kAccessCount = 1'000'000;
inline constexpr std::int64_t kTtlSecondsMax = 31'536'000;
/// Changes in one batch, and bytes of its commit.
inline constexpr std::size_t kBatchChanges = 1'000;
inline constexpr std::size_t kBatchBytes = 8u << 20;
/// Bytes of the message of one refused item; a longer one is cut.
inline constexpr std::size_t kMessageBytes = 4'096;
/// Bytes of a question; of its distinct terms, those that a recall evaluates, the rarest ones; and
/// words that a search, which wants every one, may have.
inline constexpr std::size_t kQuestionBytes = 65'536;
inline constexpr std::size_t kRecallTerms = 64;
inline constexpr std::size_t kSearchTerms = 256;
/// Changes that wait for approval, of a store as it knows them, and of one agent in one namespace.
inline constexpr std::size_t kPendingActions = 1'000;
inline constexpr std::size_t kPendingOfAgent = 100;
/// Memories that FindSimilar returns.
inline constexpr std::int64_t kSimilar = 5;

}  // namespace aimem::limits
