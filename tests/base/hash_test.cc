#include "lib/base/hash.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace aimem {
namespace {

std::string HexOf(std::initializer_list<std::string_view> pieces) {
  return ToHex(AsBytes(Sha256(pieces)));
}

// The vectors of FIPS 180-2, appendix B, and of the empty message.
TEST(Sha256, GivesThePublishedVectors) {
  EXPECT_EQ(HexOf({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HexOf({"abc"}), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexOf({"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"}),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(HexOf({std::string(1'000'000, 'a')}),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, OfPiecesIsThatOfTheirConcatenation) {
  EXPECT_EQ(Sha256({"a", "", "bc"}), Sha256({"abc"}));
  const std::vector<std::string_view> pieces = {"ab", "c"};
  EXPECT_EQ(Sha256(pieces), Sha256({"abc"}));
}

TEST(Sha256, IsTheSameOnEveryThread) {
  const Hash256 expected = Sha256({"abc"});
  std::vector<std::thread> threads;
  threads.reserve(4);
  std::vector<int> wrong(4);
  for (int& count : wrong) {
    threads.emplace_back([&count, &expected] {
      for (int i = 0; i < 1000; ++i) count += Sha256({"a", "bc"}) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Hex, RoundTripsEveryByte) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  EXPECT_EQ(FromHex(ToHex(bytes)), bytes);
  EXPECT_EQ(ToHex("\xff\x0a"), "ff0a");
  EXPECT_EQ(FromHex("FF0a"), "\xff\x0a");
  EXPECT_EQ(FromHex(""), "");
}

TEST(Hex, RefusesOddLengthsAndOtherCharacters) {
  EXPECT_FALSE(FromHex("abc"));
  EXPECT_FALSE(FromHex("0g"));
  EXPECT_FALSE(FromHex(" 0"));
}

TEST(Cut, KeepsTheFirstSixteenBytes) {
  const Hash256 hash = Sha256({"abc"});
  EXPECT_EQ(ToHex(AsBytes(Cut(hash))), "ba7816bf8f01cfea414140de5dae2223");
}

}  // namespace
}  // namespace aimem
