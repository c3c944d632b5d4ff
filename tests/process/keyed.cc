#include "tests/process/keyed.h"

#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <vector>

#include "aimem/open.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/process/worker.h"

namespace aimem::process {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kKeys = 60;
constexpr int kCreators = 8;

// What a worker printed, by key: the answer without, and with, whether it was a replay.
struct Answers {
  std::map<int, std::string> text;
  std::map<int, bool> replayed;

  void Add(const std::string& line) {
    std::istringstream in(line);
    int key = 0;
    std::string operation, id, stream, seq;
    bool again = false;
    in >> key >> operation >> id >> stream >> seq >> again;
    EXPECT_TRUE(in) << line;
    text[key] = operation + " " + id + " " + stream + " " + seq;
    replayed[key] = again;
  }
};

std::string PutTouched(const std::string& url) {
  const auto store = OpenStore(url);
  EXPECT_TRUE(store.ok()) << store.status();
  if (!store.ok()) return "";
  const WriteResult result = (*store)->Write(PutBatch("touched", "touched", "by every key"));
  EXPECT_EQ(result.outcome, WriteOutcome::kCommitted) << result.status;
  EXPECT_TRUE((*store)->Close().ok());
  return result.items.empty() ? "" : result.items[0].id;
}

support::ChildProcess StartKeyed(const std::string& url, const std::string& touched) {
  support::ChildProcess worker = StartWorker(kKeyed, {url, "0", std::to_string(kKeys), touched});
  EXPECT_THAT(ReadLines(worker, 1), ::testing::ElementsAre("ready"));
  return worker;
}

// Each key put one memory, touched once, and is one commit.
void CheckEffects(const std::string& url, const std::string& touched) {
  const auto store = OpenStore(url, {.create = false});
  ASSERT_TRUE(store.ok()) << store.status();
  const auto memories = ReadAll(**store, kKeyedNamespace);
  ASSERT_TRUE(memories.ok()) << memories.status();
  EXPECT_THAT(*memories, SizeIs(kKeys));
  const auto counter = (*store)->Get(touched);
  ASSERT_TRUE(counter.ok()) << counter.status();
  EXPECT_EQ(counter->access_count, kKeys);
  const auto info = (*store)->Info();
  ASSERT_TRUE(info.ok()) << info.status();
  const VersionVector expected = {{info->stream, kKeys + 1}};
  EXPECT_EQ(info->vector, expected);
  const auto report = (*store)->Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace

void CheckKeysSentByTwoAtOnce(const std::string& url) {
  const std::string touched = PutTouched(url);
  support::ChildProcess workers[2] = {StartKeyed(url, touched), StartKeyed(url, touched)};
  for (support::ChildProcess& worker : workers) ASSERT_TRUE(worker.Send("go\n").ok());
  Answers answers[2];
  for (int i = 0; i < 2; ++i) {
    for (const std::string& line : ReadLines(workers[i])) answers[i].Add(line);
    EXPECT_TRUE(workers[i].Wait().ok());
  }
  EXPECT_THAT(answers[0].text, SizeIs(kKeys));
  EXPECT_EQ(answers[0].text, answers[1].text);
  for (int key = 0; key < kKeys; ++key) {
    EXPECT_NE(answers[0].replayed[key], answers[1].replayed[key])
        << "key " << key << " must be carried out by one of them, and replayed to the other";
  }
  CheckEffects(url, touched);
}

void CheckKeysSentAgainAfterKills(const std::string& url) {
  const std::string touched = PutTouched(url);
  Answers known;
  for (std::size_t answers = 5; known.text.size() < kKeys; answers += 11) {
    support::ChildProcess worker = StartKeyed(url, touched);
    ASSERT_TRUE(worker.Send("go\n").ok());
    Answers now;
    for (const std::string& line : ReadLines(worker, answers)) now.Add(line);
    worker.Kill();
    for (const auto& [key, text] : now.text) {
      const auto [before, fresh] = known.text.emplace(key, text);
      EXPECT_EQ(before->second, text) << "the answer to key " << key << " changed";
      EXPECT_TRUE(fresh || now.replayed[key]) << key;
    }
  }
  CheckEffects(url, touched);
}

void CheckCreatedByManyAtOnce(const std::string& url) {
  std::vector<support::ChildProcess> workers;
  for (int i = 0; i < kCreators; ++i) {
    workers.push_back(StartWorker(kCreator, {url, std::to_string(i)}));
    EXPECT_THAT(ReadLines(workers.back(), 1), ::testing::ElementsAre("ready"));
  }
  for (support::ChildProcess& worker : workers) ASSERT_TRUE(worker.Send("go\n").ok());
  std::set<std::string> streams;
  for (support::ChildProcess& worker : workers) {
    for (const std::string& line : ReadLines(worker)) streams.insert(line);
    EXPECT_TRUE(worker.Wait().ok());
  }
  EXPECT_THAT(streams, SizeIs(1)) << "they wrote different histories";
  const auto store = OpenStore(url, {.create = false});
  ASSERT_TRUE(store.ok()) << store.status();
  const auto memories = ReadAll(**store, kCreatorNamespace);
  ASSERT_TRUE(memories.ok()) << memories.status();
  EXPECT_THAT(*memories, SizeIs(kCreators));
  const auto report = (*store)->Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_TRUE((*store)->Close().ok());
}

}  // namespace aimem::process
