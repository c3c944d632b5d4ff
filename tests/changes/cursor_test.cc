// ChangeCursor as bytes.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "aimem/changes.h"
#include "lib/base/hash.h"
#include "lib/changes/meta.h"

namespace aimem {
namespace {

class Drawn {
 public:
  explicit Drawn(std::uint32_t seed) : random_(seed) {}

  std::uint64_t Number(std::uint64_t below) {
    return std::uniform_int_distribution<std::uint64_t>(0, below - 1)(random_);
  }
  std::string Bytes(std::size_t most) {
    std::string bytes(Number(most + 1), '\0');
    for (char& byte : bytes) byte = static_cast<char>(Number(256));
    return bytes;
  }
  VersionVector Vector() {
    VersionVector vector;
    for (std::uint64_t left = Number(4); left > 0; --left) vector[random_()] = Number(1u << 20);
    if (Number(8) == 0) vector[~std::uint64_t{0}] = ~std::uint64_t{0};
    return vector;
  }
  ChangeCursor Cursor() {
    ChangeCursor cursor;
    cursor.vector = Vector();
    cursor.scanning = Number(2) == 1;
    if (Number(2) == 1) cursor.after = {static_cast<Kind>(1 + Number(255)), Bytes(40)};
    if (Number(2) == 1)
      cursor.log_from = absl::FromUnixMillis(static_cast<std::int64_t>(random_()));
    if (Number(8) == 0) cursor.log_from = absl::InfinitePast();
    cursor.seen = Vector();
    return cursor;
  }

 private:
  std::mt19937_64 random_;
};

TEST(ChangeCursor, IsWhatItsBytesSay) {
  for (std::uint32_t seed = 0; seed < 5'000; ++seed) {
    const ChangeCursor cursor = Drawn(seed).Cursor();
    const auto read = ChangeCursor::FromBytes(cursor.ToBytes());
    ASSERT_TRUE(read.ok()) << seed << ": " << read.status();
    EXPECT_EQ(*read, cursor) << seed;
  }
}

// What is taken from whoever sends it: a cursor, or refused; and no two texts are one cursor.
TEST(ChangeCursor, OtherBytesAreRefusedOrAreTheOnesOfAnotherCursor) {
  int taken = 0;
  for (std::uint32_t seed = 0; seed < 20'000; ++seed) {
    Drawn drawn(seed);
    std::string bytes = drawn.Cursor().ToBytes();
    switch (drawn.Number(4)) {
      case 0:
        bytes.resize(drawn.Number(bytes.size()));
        break;
      case 1:
        bytes.insert(drawn.Number(bytes.size() + 1), drawn.Bytes(9));
        break;
      case 2:
        bytes = drawn.Bytes(60);
        break;
      default: {
        char& byte = bytes[drawn.Number(bytes.size())];
        byte = static_cast<char>(byte ^ (1 << drawn.Number(8)));
      }
    }
    const auto read = ChangeCursor::FromBytes(bytes);
    if (!read.ok()) {
      EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << read.status();
      continue;
    }
    ++taken;
    if (bytes[0] == '\1') continue;
    EXPECT_EQ(read->ToBytes(), bytes) << seed;
  }
  EXPECT_GT(taken, 100) << "a flipped bit of a number is another cursor";
}

TEST(ChangeCursor, ClaimsOfManyStreamsTakeNoMemory) {
  const std::string many = *FromHex(
      "0200"
      "7fffffffffffffff"
      "ffffffffffffffff");
  EXPECT_EQ(ChangeCursor::FromBytes(many).status().code(), absl::StatusCode::kInvalidArgument);
}

// Written by versions that are out there, in stores that are being filled: never change them.
TEST(ChangeCursor, BytesThatWereWrittenDownAreReadForEver) {
  ChangeCursor cursor;
  cursor.vector = {{2, 7}};
  cursor.scanning = true;
  cursor.after = EntityKey{Kind::kLink, "k"};
  const std::string first = *FromHex(
      "0103"
      "7fffffffffffffff"
      "0000000000000001"
      "0000000000000002"
      "0000000000000007"
      "026b");
  EXPECT_EQ(*ChangeCursor::FromBytes(first), cursor);
  EXPECT_EQ(**changes::InstallingOf({{changes::kMetaInstall, first}}), cursor);

  cursor.seen = {{3, 1}, {4, 1}};
  cursor.log_from = absl::FromUnixMillis(5);
  const std::string second = *FromHex(
      "0203"
      "0000000000000005"
      "0000000000000001"
      "0000000000000002"
      "0000000000000007"
      "0000000000000002"
      "0000000000000003"
      "0000000000000001"
      "0000000000000004"
      "0000000000000001"
      "026b");
  EXPECT_EQ(cursor.ToBytes(), second);
  EXPECT_EQ(*ChangeCursor::FromBytes(second), cursor);
  EXPECT_EQ(**changes::InstallingOf({{changes::kMetaInstall, second}}), cursor);
  EXPECT_EQ(changes::InstallingOf({{changes::kMetaInstall, "x"}}).status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace aimem
