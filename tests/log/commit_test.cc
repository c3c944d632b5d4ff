#include "lib/log/commit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/log/grammar.h"
#include "tests/log/random_states.h"

namespace aimem::log {
namespace {

using ::testing::HasSubstr;
using testing::SplitMix;

std::string Message(const absl::Status& status) { return std::string(ToStd(status.message())); }

Id128 RandomId(SplitMix& random) {
  Id128 id;
  for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(random.Below(256));
  return id;
}

Commit RandomCommit(SplitMix& random, std::size_t changes) {
  Commit commit;
  commit.header.stream = random.Next();
  commit.header.seq = 2 + random.Below(1'000);
  commit.header.hlc = random.Next();
  commit.header.operation = RandomId(random);
  commit.header.prev_hash = Sha256({testing::RandomBytes(random, 8)});
  if (random.Chance(50)) commit.header.request_hash = Sha256({testing::RandomBytes(random, 8)});
  commit.header.results = testing::RandomBytes(random, random.Below(200));
  commit.header.agent_id = "agent";
  commit.header.principal = random.Chance(50) ? "principal" : "";
  for (std::size_t i = 0; i < changes; ++i) {
    Change change;
    change.key = {static_cast<Kind>(random.Below(256)), "key-" + std::to_string(i)};
    change.nonce = RandomId(random);
    model::PartsBuilder builder = testing::NarrowState(random);
    change.body = EncodeState(builder.Build());
    commit.changes.push_back(std::move(change));
  }
  return commit;
}

void ExpectSame(const Commit& a, const Commit& b) {
  EXPECT_EQ(a.header.stream, b.header.stream);
  EXPECT_EQ(a.header.seq, b.header.seq);
  EXPECT_EQ(a.header.hlc, b.header.hlc);
  EXPECT_EQ(a.header.operation, b.header.operation);
  EXPECT_EQ(a.header.prev_hash, b.header.prev_hash);
  EXPECT_EQ(a.header.request_hash, b.header.request_hash);
  EXPECT_EQ(a.header.results, b.header.results);
  EXPECT_EQ(a.header.agent_id, b.header.agent_id);
  EXPECT_EQ(a.header.principal, b.header.principal);
  EXPECT_EQ(a.header.content_hash, b.header.content_hash);
  ASSERT_EQ(a.changes.size(), b.changes.size());
  for (std::size_t i = 0; i < a.changes.size(); ++i) {
    EXPECT_EQ(a.changes[i].key, b.changes[i].key);
    EXPECT_EQ(a.changes[i].nonce, b.changes[i].nonce);
    EXPECT_EQ(a.changes[i].body, b.changes[i].body);
    EXPECT_EQ(a.changes[i].withheld, b.changes[i].withheld);
  }
}

TEST(Commit, SurvivesEncodingUnchanged) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    SplitMix random(seed);
    Commit commit = RandomCommit(random, random.Below(8));
    const std::string bytes = EncodeCommit(commit);
    absl::StatusOr<Commit> decoded = DecodeCommit(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ExpectSame(*decoded, commit);
    EXPECT_EQ(EncodeCommit(*decoded), bytes);
    const absl::StatusOr<CommitHeader> header = DecodeCommitHeader(bytes);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->content_hash, commit.header.content_hash);
    EXPECT_EQ(header->stamp(), (Stamp{commit.header.hlc, commit.header.stream}));
    EXPECT_EQ(header->principal, commit.header.principal);
  }
}

TEST(Commit, WithheldBodyKeepsTheContentHash) {
  SplitMix random(1);
  Commit commit = RandomCommit(random, 3);
  EncodeCommit(commit);
  const Hash256 before = commit.header.content_hash;
  Change& erased = commit.changes[1];
  erased.withheld = Sha256({AsBytes(erased.nonce), erased.body});
  erased.nonce = {};
  erased.body.clear();
  const std::string bytes = EncodeCommit(commit);
  EXPECT_EQ(commit.header.content_hash, before);
  const absl::StatusOr<Commit> decoded = DecodeCommit(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ExpectSame(*decoded, commit);
  // Of another body it is another hash.
  (*erased.withheld)[0] ^= 1;
  EncodeCommit(commit);
  EXPECT_NE(commit.header.content_hash, before);
}

TEST(Commit, BodiesOfWhatIsErasedGoAndNothingElse) {
  SplitMix random(3);
  Commit commit = RandomCommit(random, 4);
  model::PartsBuilder purge;
  purge.Set(model::part::kPurged, {7, 7}, "");
  model::PartsBuilder text;
  text.Set(model::part::kContent, {6, 7}, "what was said");
  for (std::size_t i : {0, 1}) commit.changes[i].body = EncodeState(text.Build());
  commit.changes[2].body = EncodeState(purge.Build());
  commit.changes[3].body = "what was said is no state";
  const std::string bytes = EncodeCommit(commit);
  const auto but_first = [](const EntityKey& key) { return key.key != "key-0"; };
  const std::optional<std::string> without = EraseBodies(bytes, but_first);
  ASSERT_TRUE(without.has_value());
  const absl::StatusOr<Commit> decoded = DecodeCommit(*without);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->header.content_hash, commit.header.content_hash);
  EXPECT_EQ(decoded->changes[0].body, commit.changes[0].body);
  EXPECT_TRUE(decoded->changes[1].withheld.has_value());
  EXPECT_EQ(decoded->changes[2].body, commit.changes[2].body) << "others learn of it from this";
  EXPECT_TRUE(decoded->changes[3].withheld.has_value());
  EXPECT_LT(without->size(), bytes.size());
  EXPECT_EQ(EraseBodies(*without, but_first), std::nullopt) << "there is nothing left to erase";
  EXPECT_EQ(EraseBodies(bytes, [](const EntityKey&) { return false; }), std::nullopt);
}

TEST(Commit, ErasingDoesNotMendWhatWasDamaged) {
  SplitMix random(4);
  Commit commit = RandomCommit(random, 2);
  commit.changes[1].body = "no state";
  std::string bytes = EncodeCommit(commit);
  bytes[3] = static_cast<char>(bytes[3] ^ 1);  // of the content hash
  const auto without = EraseBodies(bytes, [](const EntityKey& key) { return key.key == "key-1"; });
  ASSERT_TRUE(without.has_value());
  EXPECT_EQ(without->substr(0, 33), bytes.substr(0, 33));
  EXPECT_FALSE(DecodeCommit(*without).ok());
}

TEST(Commit, ChainNamesTheContentBefore) {
  SplitMix random(2);
  Hash256 head{};
  for (std::uint64_t seq = 1; seq <= 5; ++seq) {
    Commit commit = RandomCommit(random, 2);
    commit.header.seq = seq;
    commit.header.prev_hash = head;
    const std::string bytes = EncodeCommit(commit);
    const absl::StatusOr<Commit> decoded = DecodeCommit(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->header.prev_hash, head);
    EXPECT_NE(decoded->header.content_hash, head);
    head = decoded->header.content_hash;
  }
}

TEST(Commit, EverySingleByteMutationIsRefused) {
  SplitMix random(3);
  Commit commit = RandomCommit(random, 3);
  std::string bytes = EncodeCommit(commit);
  std::size_t by_the_hash = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char original = bytes[at];
    for (int bit = 0; bit < 8; ++bit) {
      bytes[at] = static_cast<char>(original ^ (1 << bit));
      ASSERT_EQ(DecodeCommit(bytes).status().code(), absl::StatusCode::kDataLoss) << at;
      by_the_hash += DecodeCommit(bytes, /*verify=*/false).ok() ? 1 : 0;
    }
    bytes[at] = original;
  }
  EXPECT_GT(by_the_hash, bytes.size()) << "without the hash most would pass";
}

TEST(Commit, TruncatedCommitIsRefusedAtEveryOffset) {
  SplitMix random(4);
  Commit commit = RandomCommit(random, 2);
  const std::string bytes = EncodeCommit(commit);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(DecodeCommit(bytes.substr(0, size), false).status().code(),
              absl::StatusCode::kDataLoss)
        << size;
  }
  EXPECT_THAT(Message(DecodeCommit(bytes + "x").status()),
              HasSubstr("bytes follow the last change"));
}

TEST(Commit, UnknownKindsTravel) {
  SplitMix random(5);
  Commit commit = RandomCommit(random, 1);
  commit.changes[0].key.kind = static_cast<Kind>(250);
  const absl::StatusOr<Commit> decoded = DecodeCommit(EncodeCommit(commit));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(static_cast<int>(decoded->changes[0].key.kind), 250);
}

TEST(Commit, BodyThatIsNoStateIsKeptAndTheOthersApply) {
  SplitMix random(6);
  Commit commit = RandomCommit(random, 2);
  commit.changes[1].body = "no state";
  const std::string bytes = EncodeCommit(commit);
  for (const bool verify : {true, false}) {
    absl::StatusOr<Commit> decoded = DecodeCommit(bytes, verify);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_FALSE(decoded->opaque);
    EXPECT_FALSE(decoded->changes[0].unreadable);
    EXPECT_TRUE(decoded->changes[1].unreadable);
    EXPECT_EQ(EncodeCommit(*decoded), bytes);
  }
}

TEST(Commit, BodyOverTheLimitOfAStateIsKept) {
  SplitMix random(12);
  Commit commit = RandomCommit(random, 1);
  commit.changes[0].body.assign(kMaxStateBytes + 1, 'x');
  const absl::StatusOr<Commit> decoded = DecodeCommit(EncodeCommit(commit));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(decoded->changes[0].unreadable);
}

TEST(Commit, OtherVersionIsOpaqueAndKeepsItsPlace) {
  SplitMix random(13);
  Commit commit = RandomCommit(random, 2);
  std::string bytes = EncodeCommit(commit);
  bytes[0] = 2;
  EXPECT_THAT(Message(DecodeCommit(bytes).status()), HasSubstr("its first byte says another"))
      << "one of version 1 whose first byte was damaged";
  bytes += "what version 2 has at its end";
  for (const bool verify : {true, false}) {
    const absl::StatusOr<Commit> decoded = DecodeCommit(bytes, verify);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(decoded->opaque);
    EXPECT_TRUE(decoded->changes.empty());
    EXPECT_EQ(decoded->header.stream, commit.header.stream);
    EXPECT_EQ(decoded->header.seq, commit.header.seq);
    EXPECT_EQ(decoded->header.hlc, commit.header.hlc);
    EXPECT_EQ(decoded->header.operation, commit.header.operation);
    EXPECT_EQ(decoded->header.prev_hash, commit.header.prev_hash);
    EXPECT_EQ(decoded->header.content_hash, commit.header.content_hash);
  }
  ASSERT_TRUE(PeekPosition(bytes).has_value());
  EXPECT_EQ(PeekPosition(bytes)->seq, commit.header.seq);
  EXPECT_TRUE(PeekHead(bytes).has_value());
  EXPECT_FALSE(DecodeCommitHeader(bytes).ok()) << "its results are not known";
  bytes[0] = 0;
  EXPECT_FALSE(DecodeCommit(bytes).ok());
  EXPECT_FALSE(PeekPosition(bytes).has_value());
}

TEST(Commit, OneChangePerKey) {
  SplitMix random(7);
  Commit commit = RandomCommit(random, 3);
  commit.changes[2].key = commit.changes[0].key;
  EXPECT_THAT(Message(DecodeCommit(EncodeCommit(commit)).status()),
              HasSubstr("two changes have the same key"));
  commit.changes[2].key.kind = static_cast<Kind>(static_cast<int>(commit.changes[0].key.kind) ^ 1);
  EXPECT_TRUE(DecodeCommit(EncodeCommit(commit)).ok());
}

TEST(Commit, LimitsHold) {
  SplitMix random(8);
  Commit commit = RandomCommit(random, kMaxChanges);
  EXPECT_TRUE(DecodeCommit(EncodeCommit(commit)).ok());
  commit = RandomCommit(random, kMaxChanges + 1);
  EXPECT_THAT(Message(DecodeCommit(EncodeCommit(commit)).status()),
              HasSubstr("1001 changes are over the limit of 1000"));
  commit = RandomCommit(random, 1);
  commit.changes[0].key.key = std::string(kMaxKeyBytes, 'k');
  EXPECT_TRUE(DecodeCommit(EncodeCommit(commit)).ok());
  commit.changes[0].key.key.push_back('k');
  EXPECT_THAT(Message(DecodeCommit(EncodeCommit(commit)).status()),
              HasSubstr("a length of 1025 is over the limit of 1024"));
  commit = RandomCommit(random, 1);
  commit.header.results.assign(kMaxCommitBytes, 'r');
  EXPECT_THAT(Message(DecodeCommit(EncodeCommit(commit)).status()),
              HasSubstr("over the limit of 8388608"));
}

TEST(Commit, HeaderRulesHold) {
  SplitMix random(9);
  const auto refusal = [&](auto change) {
    Commit commit = RandomCommit(random, 1);
    change(commit.header);
    const std::string bytes = EncodeCommit(commit);
    EXPECT_FALSE(DecodeCommitHeader(bytes).ok());
    return Message(DecodeCommit(bytes).status());
  };
  EXPECT_THAT(refusal([](CommitHeader& header) { header.seq = 0; }), HasSubstr("number is 0"));
  EXPECT_THAT(refusal([](CommitHeader& header) { header.seq = 1; }),
              HasSubstr("the first commit of a stream names one before it"));

  Commit commit = RandomCommit(random, 1);
  commit.header.request_hash.reset();
  std::string bytes = EncodeCommit(commit);
  EXPECT_THAT(Message(DecodeCommitHeader("\x02" + bytes.substr(1)).status()),
              HasSubstr("version 2 is not known"));
  const std::size_t request_hash = 33 + 8 + (commit.header.seq < 128 ? 1 : 2) + 8 + 16 + 32;
  ASSERT_EQ(bytes[request_hash], 0);
  bytes[request_hash] = 1;
  bytes.insert(request_hash + 1, "x");
  EXPECT_THAT(Message(DecodeCommit(bytes).status()), HasSubstr("neither empty nor 32 bytes"));
}

TEST(Commit, UnknownTagIsRefused) {
  SplitMix random(10);
  Commit commit = RandomCommit(random, 1);
  std::string bytes = EncodeCommit(commit);
  const std::size_t tag = bytes.find("key-0") + 5;
  ASSERT_EQ(bytes[tag], 1);
  bytes[tag] = 2;
  EXPECT_THAT(Message(DecodeCommit(bytes, false).status()), HasSubstr("the unknown tag 2"));
}

TEST(NextHlc, IsGreaterThanAllSeenAndNotBehindTheWall) {
  EXPECT_EQ(NextHlc(0, 5), (5u << 16) + 1);
  EXPECT_EQ(NextHlc((5u << 16) + 1, 5), (5u << 16) + 2);
  EXPECT_EQ(NextHlc(std::uint64_t{9} << 16, 5), (9u << 16) + 1);
  SplitMix random(11);
  std::uint64_t seen = 0;
  for (int i = 0; i < 1'000; ++i) {
    const auto wall = static_cast<std::int64_t>(random.Next() >> 24);
    const std::uint64_t next = NextHlc(seen, wall);
    EXPECT_GT(next, seen);
    EXPECT_GE(next >> 16, static_cast<std::uint64_t>(wall));
    seen = random.Chance(50) ? next : random.Next() >> 20;
  }
}

TEST(NextHlc, WallClocksOutside48BitsAreCutOff) {
  EXPECT_EQ(NextHlc(7, -1), 8u);
  EXPECT_EQ(NextHlc(7, std::numeric_limits<std::int64_t>::min()), 8u);
  EXPECT_EQ(NextHlc(0, std::numeric_limits<std::int64_t>::max()),
            (((std::uint64_t{1} << 48) - 1) << 16) + 1);
}

TEST(NextHlc, StaysAtTheEndOf64Bits) {
  const std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(NextHlc(end - 1, 0), end);
  EXPECT_EQ(NextHlc(end, 0), end);
}

}  // namespace
}  // namespace aimem::log
