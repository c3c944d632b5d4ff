// What is erased is in no file and no table of any member, also of one that was away.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/federation/federation.h"

namespace aimem::federation {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// In title and content of what is erased, and nowhere else.
constexpr char kMarker[] = "xyzzyplugh";

std::string PathOf(const std::string& id) { return "/api/v1/memories/" + id; }

void PatchUntilTaken(Federation& federation, int member, const std::string& id,
                     const std::string& content) {
  EXPECT_TRUE(Eventually(kPatience, [&] {
    const Answer answer =
        Send(federation.client(member), "PUT", PathOf(id), {{"content", content}});
    return answer.code == 200 || answer.code == 503;  // of 503 it is durable there
  }));
}

/// The files of a member's store that hold the marker.
std::vector<std::string> FilesWithMarker(const Federation& federation, int member) {
  std::vector<std::string> found;
  const std::string path = federation.store(member);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::ifstream file(path + suffix, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    if (bytes.find(kMarker) != std::string::npos) found.push_back(path + suffix);
  }
  return found;
}

/// What is erased elsewhere goes in the background.
void AwaitNoMarker(const Federation& federation, int member) {
  EXPECT_TRUE(Eventually(kPatience, [&] { return FilesWithMarker(federation, member).empty(); }))
      << "member " << member << ": "
      << ::testing::PrintToString(FilesWithMarker(federation, member));
}

TEST(FederationErase, NothingIsLeftInAnyFileAlsoOfAMemberThatWasAway) {
  Federation federation({});
  federation.StartConnected();
  const std::string id =
      federation.MustPut(0, absl::StrCat("title ", kMarker), absl::StrCat("put ", kMarker));
  const std::string kept = federation.MustPut(1, "kept");
  for (int i = 0; i < 30; ++i)
    PatchUntilTaken(federation, i % 3, id, absl::StrFormat("%d %s", i, kMarker));
  federation.CheckSettled();
  // With what it wrote itself, some of which nobody else has.
  PatchUntilTaken(federation, 2, id, absl::StrCat("the last of it ", kMarker));
  federation.Kill(2);
  for (int member = 0; member < 3; ++member) {
    EXPECT_FALSE(FilesWithMarker(federation, member).empty()) << member;
  }
  const Answer erased = Send(federation.client(0), "DELETE", PathOf(id) + "?erase=true");
  ASSERT_EQ(erased.code, 200) << erased.ToString();
  EXPECT_EQ(erased.body.value("erasing", true), false);
  EXPECT_THAT(erased.Text("message"), HasSubstr("Members that hold it erase it"));
  EXPECT_TRUE(FilesWithMarker(federation, 0).empty());
  AwaitNoMarker(federation, 1);
  EXPECT_FALSE(FilesWithMarker(federation, 2).empty());
  federation.Start(2);
  federation.CheckSettled();
  for (int member = 0; member < 3; ++member) {
    AwaitNoMarker(federation, member);
    EXPECT_EQ(federation.Get(member, PathOf(id)).code, 404) << "member " << member;
    EXPECT_EQ(federation.Get(member, PathOf(kept)).code, 200) << "member " << member;
  }
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(2));  // "warm", and what is kept
  for (int member = 0; member < 3; ++member) {
    EXPECT_TRUE(FilesWithMarker(federation, member).empty()) << member;
  }
}

TEST(FederationErase, MemberKilledWhileItErasesGoesOnWhenItIsStartedAgain) {
  Federation federation({});
  federation.StartConnected();
  const std::string id = federation.MustPut(0, kMarker, absl::StrCat("put ", kMarker));
  const std::string long_text(20'000, 'x');
  for (int i = 0; i < 200; ++i)
    PatchUntilTaken(federation, 0, id, absl::StrCat(i, kMarker, long_text));
  federation.CheckSettled();
  // All of them, at whatever each has come to.
  std::thread asking([&] {
    clients::HttpClient client("127.0.0.1", federation.http_port(0));
    Send(client, "DELETE", PathOf(id) + "?erase=true");
  });
  EXPECT_TRUE(Eventually(kPatience, [&] { return federation.Get(1, PathOf(id)).code == 404; }));
  federation.KillAll();
  asking.join();
  federation.StartAll();
  federation.CheckSettled();
  for (int member = 0; member < 3; ++member) AwaitNoMarker(federation, member);
  EXPECT_THAT(federation.CheckEqualOnDisk().contents, SizeIs(1));
}

}  // namespace
}  // namespace aimem::federation
