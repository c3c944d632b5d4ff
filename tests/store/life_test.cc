// The life of an embedded store: callbacks that misbehave, memory that runs out, forks, Close.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aimem/backends/ephemeral.h"
#include "aimem/backends/sqlite.h"
#include "aimem/local_store.h"
#include "aimem/store.h"
#include "lib/base/mutex.h"
#include "lib/base/rendezvous.h"
#include "lib/store/hooks.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/gate.h"
#include "tests/support/hooked_backend.h"
#include "tests/support/log_lines.h"
#include "tests/support/temp_dir.h"

namespace aimem {
namespace {

using testing::Eventually;
using testing::Gate;
using testing::HookedBackend;
using testing::Hooks;
using testing::OnePut;
using testing::TempDir;

std::unique_ptr<Store> OpenHooked(Hooks hooks, StoreOptions options = {},
                                  std::shared_ptr<EphemeralDisk> disk = nullptr,
                                  store::Hooks member = {}) {
  auto store = store::OpenMemberStore(
      std::make_unique<HookedBackend>(OpenEphemeralBackend(std::move(disk)), std::move(hooks)),
      options, std::move(member));
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

/// What `work` returns, of a write's callback that runs on the thread of the store.
template <typename Result>
Result FromCallback(Store& store, const std::function<Result()>& work) {
  Rendezvous<Result> answer;
  store.WriteAsync(OnePut("from a callback"), {},
                   [answer, &work](const WriteResult&) mutable { answer.Put(work()); });
  return answer.Take();
}

// -- Callbacks ------------------------------------------------------------------------------------

TEST(StoreLife, WriteFromACallbackIsRefused) {
  auto store = OpenEphemeralStore();
  const WriteResult result =
      FromCallback<WriteResult>(**store, [&] { return (*store)->Write(OnePut("inner")); });
  EXPECT_EQ(result.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kFailedPrecondition) << result.status;
  EXPECT_NE(result.status.message().find("WriteAsync"), absl::string_view::npos) << result.status;
  EXPECT_EQ((*store)->Write(OnePut("after")).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(StoreLife, ApplyThatWaitsFromACallbackIsRefused) {
  auto store = OpenEphemeralStore();
  const ApplyResult result =
      FromCallback<ApplyResult>(**store, [&] { return (*store)->Apply(ChangePage{}); });
  EXPECT_EQ(result.status.code(), absl::StatusCode::kFailedPrecondition) << result.status;
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(StoreLife, WriteIntoTheStoreBelowACallbackOfAnotherIsRefused) {
  auto outer = OpenEphemeralStore();
  auto inner = OpenEphemeralStore();
  // This thread leads a group of `inner`, from a callback of `outer`: writing into `outer` there
  // would wait for that callback.
  const WriteResult result = FromCallback<WriteResult>(**outer, [&] {
    WriteResult refused;
    EXPECT_EQ((*inner)->Write(OnePut("inner")).outcome, WriteOutcome::kCommitted);
    (*inner)->WriteAsync(
        {}, {}, [&](const WriteResult&) { refused = (*outer)->Write(OnePut("outer again")); });
    return refused;
  });
  EXPECT_EQ(result.status.code(), absl::StatusCode::kFailedPrecondition) << result.status;
}

TEST(StoreLife, CloseFromACallbackIsRefusedAndTheStoreGoesOn) {
  auto store = OpenEphemeralStore();
  const absl::Status status =
      FromCallback<absl::Status>(**store, [&] { return (*store)->Close(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ((*store)->Write(OnePut("after")).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(StoreLife, NullCallbackIsAnAnswerToNobody) {
  auto store = OpenEphemeralStore();
  (*store)->WriteAsync(OnePut("t"), {}, nullptr);
  (*store)->WriteAsync({}, {}, nullptr);  // refused at once
  (*store)->WriteAsync(ForgetMemories{.namespace_ = "none"}, {}, nullptr);
  (*store)->Apply(ChangePage{}, nullptr);
  EXPECT_EQ((*store)->Write(OnePut("after")).outcome, WriteOutcome::kCommitted);
  EXPECT_EQ((*store)->List({})->memories.size(), 2u);
  EXPECT_TRUE((*store)->Close().ok());
}

TEST(StoreLife, CallbackThatThrowsIsLoggedAndTheOthersAreAnswered) {
  testing::LogLines lines;
  Gate gate;
  gate.Shut();
  auto store = OpenHooked({.put = [&] { gate.Pass(); }}, {.environment = {.log = &lines}});
  std::atomic<int> answered = 0;
  const auto throws = [&](const WriteResult&) {
    ++answered;
    throw std::runtime_error("a host's mistake");
  };
  for (int i = 0; i < 5; ++i) store->WriteAsync(OnePut(absl::StrCat("t", i)), {}, throws);
  gate.Open();
  EXPECT_TRUE(Eventually([&] { return answered == 5; }));
  EXPECT_EQ(store->Write(OnePut("after")).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(lines.Contain("a host's mistake"));
  EXPECT_TRUE(store->Close().ok());
}

class ThrowingListener : public store::CommitListener {
 public:
  void OnDurable(const log::StoreState&, std::vector<log::DurableCommit>) override {
    throw std::runtime_error("a listener's mistake");
  }
};

TEST(StoreLife, ListenerThatThrowsIsLoggedAndWritesAreAnswered) {
  testing::LogLines lines;
  ThrowingListener listener;
  auto store = OpenHooked({}, {.environment = {.log = &lines}}, nullptr, {.listener = &listener});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(store->Write(OnePut(absl::StrCat("t", i))).outcome, WriteOutcome::kCommitted);
  }
  EXPECT_TRUE(lines.Contain("a listener's mistake"));
  EXPECT_TRUE(store->Close().ok());
}

// -- What goes wrong inside a group ---------------------------------------------------------------

/// Throws `what` once, when it is told to.
template <typename Exception>
struct Thrower {
  std::atomic<bool> armed = false;
  void operator()() {
    if (armed.exchange(false)) throw Exception();
  }
};

struct BrokenInvariant : std::logic_error {
  BrokenInvariant() : std::logic_error("a broken invariant") {}
};

TEST(StoreLife, MemoryThatRunsOutInAGroupFailsThatGroupAlone) {
  for (const char* where : {"begin_write", "read", "put"}) {
    SCOPED_TRACE(where);
    Thrower<std::bad_alloc> thrower;
    Hooks hooks;
    const auto hook = [&] { thrower(); };
    (where[0] == 'b' ? hooks.begin_write : where[0] == 'r' ? hooks.read : hooks.put) = hook;
    auto store = OpenHooked(hooks);
    ASSERT_EQ(store->Write(OnePut("before")).outcome, WriteOutcome::kCommitted);
    thrower.armed = true;
    const WriteResult failed = store->Write(OnePut("lost"));
    EXPECT_EQ(failed.outcome, WriteOutcome::kRejected);
    EXPECT_EQ(failed.status.code(), absl::StatusCode::kResourceExhausted) << failed.status;
    EXPECT_EQ(store->Write(OnePut("after")).outcome, WriteOutcome::kCommitted);
    EXPECT_EQ(store->List({})->memories.size(), 2u);
    EXPECT_TRUE(store->Close().ok());
  }
}

TEST(StoreLife, MemoryThatRunsOutInAReadIsThrownToItsCallerAlone) {
  bool out = false;
  auto store = OpenHooked({.scan = [&] {
    if (out) throw std::bad_alloc();
  }});
  ASSERT_EQ(store->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  out = true;
  EXPECT_THROW(static_cast<void>(store->List({})), std::bad_alloc);
  EXPECT_THROW(static_cast<void>(store->Search({.query = "t"})), std::bad_alloc);
  out = false;
  EXPECT_EQ(store->Write(OnePut("u")).outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(store->List({})->memories.size(), 2u);
  EXPECT_TRUE(store->Close().ok()) << "nobody reads any more";
}

TEST(StoreLife, BrokenInvariantInAGroupFailsThatGroupAlone) {
  testing::LogLines lines;
  Thrower<BrokenInvariant> thrower;
  auto store = OpenHooked({.put = [&] { thrower(); }}, {.environment = {.log = &lines}});
  thrower.armed = true;
  Rendezvous<WriteResult> answer;
  store->WriteAsync(OnePut("lost"), {},
                    [answer](WriteResult result) mutable { answer.Put(std::move(result)); });
  const WriteResult failed = answer.Take();
  EXPECT_EQ(failed.outcome, WriteOutcome::kRejected);
  EXPECT_EQ(failed.status.code(), absl::StatusCode::kInternal) << failed.status;
  EXPECT_TRUE(lines.Contain("a broken invariant"));
  EXPECT_EQ(store->Write(OnePut("after")).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(store->Close().ok());
}

TEST(StoreLife, ExceptionDuringACommitLeavesTheOutcomeUnknown) {
  Thrower<BrokenInvariant> thrower;
  auto disk = std::make_shared<EphemeralDisk>();
  auto store = OpenHooked({.committed = [&] { thrower(); }}, {}, disk);
  thrower.armed = true;
  const WriteResult result = store->Write(OnePut("there"));
  EXPECT_EQ(result.outcome, WriteOutcome::kUnknown);
  const auto operation = store->GetOperation(result.operation, absl::ZeroDuration());
  EXPECT_TRUE(operation.ok()) << "it was committed: " << operation.status();
  EXPECT_EQ(store->Write(OnePut("after")).outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(store->List({})->memories.size(), 2u);
  EXPECT_TRUE(store->Close().ok());
}

TEST(StoreLife, WhoeverIsAskedForMoreMayThrow) {
  store::Hooks member;
  member.more_until = []() -> absl::Duration { throw std::runtime_error("asked in vain"); };
  auto store = OpenHooked({}, {}, nullptr, std::move(member));
  EXPECT_EQ(store->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(store->Write(OnePut("u")).outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(store->Close().ok());
}

// -- Threads --------------------------------------------------------------------------------------

/// Of each thread of this process that is aimem's, by name: the signals that it blocks, as bits.
std::map<std::string, std::uint64_t> OwnThreads() {
  std::map<std::string, std::uint64_t> threads;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(task.path() / "status");
    std::string name;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Name:")) name = line.substr(line.find('\t') + 1);
      if (line.starts_with("SigBlk:") && name.starts_with("aimem-")) {
        threads[name] = std::stoull(line.substr(line.find('\t') + 1), nullptr, 16);
      }
    }
  }
  return threads;
}

TEST(StoreLife, ItsThreadsHaveNamesAndTakeNoSignals) {
  const TempDir dir;
  auto store = *OpenSqliteStore(dir.File("m.db"));
  ASSERT_EQ(store->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  // Selects in the background, on a thread that is made for that.
  ASSERT_TRUE(store->Write(ForgetMemories{.pattern = "nothing"}).status.ok());
  std::map<std::string, std::uint64_t> threads;
  EXPECT_TRUE(Eventually([&] {  // a thread that has just been made names itself
    threads = OwnThreads();
    return threads.contains("aimem-writer") && threads.contains("aimem-select");
  }));
  for (const auto& [name, blocked] : threads) {
    for (const int signal : {SIGTERM, SIGINT, SIGCHLD, SIGUSR1}) {
      EXPECT_TRUE(blocked >> (signal - 1) & 1) << name << " takes signal " << signal;
    }
  }
  EXPECT_TRUE(store->Close().ok());
}

// -- Descriptors ----------------------------------------------------------------------------------

/// Those of this process that lead to what lies in `dir`.
std::vector<int> DescriptorsIn(const std::string& dir) {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the iterator's own
    const std::string leads = std::filesystem::read_symlink(entry.path(), gone);
    if (leads.starts_with(dir)) found.push_back(std::stoi(entry.path().filename()));
  }
  return found;
}

TEST(StoreLife, ItsDescriptorsAreBoundedAreNotInheritedAndEndWithItWithoutClose) {
  const TempDir dir;
  auto store = *OpenSqliteStore(dir.File("m.db"), {.readers = 4});
  ASSERT_EQ(store->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  std::vector<std::thread> readers;
  for (int i = 0; i < 16; ++i) {
    readers.emplace_back([&] {
      for (int n = 0; n < 20; ++n) EXPECT_TRUE(store->List({}).ok());
    });
  }
  for (std::thread& reader : readers) reader.join();
  const std::vector<int> open = DescriptorsIn(dir.File(""));
  EXPECT_GE(open.size(), 3u);
  EXPECT_LE(open.size(), 4u + 2 * 4) << "docs/embedding.md says so";
  for (const int descriptor : open) {
    EXPECT_TRUE(fcntl(descriptor, F_GETFD) & FD_CLOEXEC) << descriptor;
  }
  store.reset();
  EXPECT_TRUE(DescriptorsIn(dir.File("")).empty());
  EXPECT_EQ((*OpenSqliteStore(dir.File("m.db")))->List({})->memories.size(), 1u);
}

// -- Forks ----------------------------------------------------------------------------------------

/// Run `work` in a child; what it returns is the child's exit status, 99 if it did not end.
int InChild(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);  // a child that hangs is killed, and that is seen
    _exit(work());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

TEST(StoreLife, ChildOfAForkIsToldToOpenAgain) {
  const TempDir dir;
  auto opened = OpenSqliteStore(dir.File("m.db"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::unique_ptr<Store> store = *std::move(opened);
  ASSERT_EQ(store->Write(OnePut("before")).outcome, WriteOutcome::kCommitted);
  const int failed = InChild([&] {
    const auto refused = [](const absl::Status& status) {
      return status.code() == absl::StatusCode::kFailedPrecondition &&
             status.message().find("fork") != absl::string_view::npos;
    };
    if (!refused(store->Write(OnePut("child")).status)) return 1;
    absl::Status later;
    store->WriteAsync(OnePut("child"), {}, [&](const WriteResult& r) { later = r.status; });
    if (!refused(later)) return 2;
    if (!refused(store->List({}).status())) return 3;
    if (!refused(store->Info().status())) return 4;
    if (!refused(store->Info({.data = false}).status())) return 9;
    if (!refused(OpenSqliteStore(dir.File("m.db")).status())) return 10;
#ifndef __SANITIZE_THREAD__  // which takes no new threads after such a fork
    if (!OpenSqliteStore(dir.File("another.db")).ok()) return 11;
#endif
    if (!refused(store->Check().status())) return 5;
    if (!refused(store->Apply(ChangePage{}).status)) return 6;
    if (!refused(store->Get("x").status())) return 7;
    if (!refused(store->Close())) return 8;
    store.reset();
    return 0;
  });
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(store->Write(OnePut("after")).outcome, WriteOutcome::kCommitted);
  EXPECT_EQ(store->List({})->memories.size(), 2u);
  EXPECT_TRUE(store->Check()->problems.empty());
  EXPECT_TRUE(store->Close().ok());
  EXPECT_EQ(InChild([&] {
              auto child = OpenSqliteStore(dir.File("m.db"));
              return child.ok() && (*child)->Write(OnePut("child")).status.ok() ? 0 : 1;
            }),
            0)
      << "nobody had it open";
}

TEST(StoreLife, ChildOfAForkInTheMiddleOfAGroupDoesNotHang) {
  const TempDir dir;
  Gate gate;
  gate.Shut();
  auto backend = OpenSqliteBackend(dir.File("m.db"));
  ASSERT_TRUE(backend.ok()) << backend.status();
  auto opened = OpenLocalStore(
      std::make_unique<HookedBackend>(*std::move(backend), Hooks{.put = [&] { gate.Pass(); }}));
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::unique_ptr<Store> store = *std::move(opened);
  Rendezvous<WriteResult> answer;
  store->WriteAsync(OnePut("t"), {},
                    [answer](WriteResult result) mutable { answer.Put(std::move(result)); });
  gate.AwaitHeld();
  for (int i = 0; i < 3; ++i) store->WriteAsync(OnePut(absl::StrCat("queued ", i)), {}, nullptr);
  EXPECT_EQ(InChild([&] {
              if (store->Write(OnePut("child")).status.ok()) return 1;
              store.reset();
              return 0;
            }),
            0);
  gate.Open();
  EXPECT_EQ(answer.Take().outcome, WriteOutcome::kCommitted);
  EXPECT_TRUE(store->Close().ok());
}

// -- Close ----------------------------------------------------------------------------------------

TEST(StoreLife, CloseWaitsForAReadInProgressAndRefusesTheNext) {
  Gate gate;
  std::atomic<bool> backend_closed = false;
  const auto scan = [&] {
    gate.Pass();
    EXPECT_FALSE(backend_closed) << "the read outlived the store";
  };
  auto store = OpenHooked({.scan = scan, .close = [&] { backend_closed = true; }});
  ASSERT_EQ(store->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  gate.Shut();
  std::thread reader([&] { EXPECT_TRUE(store->List({}).ok()); });
  gate.AwaitHeld();
  std::thread closer([&] { EXPECT_TRUE(store->Close().ok()); });
  EXPECT_TRUE(Eventually([&] { return absl::IsUnavailable(store->Info().status()); }))
      << "a store that is being closed takes no more reads";
  EXPECT_FALSE(backend_closed);
  gate.Open();
  reader.join();
  closer.join();
  EXPECT_TRUE(backend_closed);
}

TEST(StoreLife, AReadThatDoesNotEndDoesNotHoldCloseForEver) {
  Gate gate;
  std::atomic<bool> backend_closed = false;
  auto store = OpenHooked({.scan = [&] { gate.Pass(); }, .close = [&] { backend_closed = true; }},
                          {.close_grace = absl::Milliseconds(1)});
  ASSERT_EQ(store->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  gate.Shut();
  std::thread reader([&] { EXPECT_TRUE(store->List({}).ok()); });
  gate.AwaitHeld();
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = store->Close();
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    EXPECT_NE(status.message().find("1 read"), absl::string_view::npos) << status;
  }
  EXPECT_FALSE(backend_closed);
  EXPECT_EQ(store->Write(OnePut("u")).status.code(), absl::StatusCode::kUnavailable);
  gate.Open();
  reader.join();
  EXPECT_TRUE(Eventually([&] { return store->Close().ok(); }));
  EXPECT_TRUE(backend_closed);
}

TEST(StoreLife, ACheckIsAReadFromItsFirstToItsLastStep) {
  Gate gate;
  std::atomic<bool> backend_closed = false;
  const auto verify = [&] {
    gate.Pass();
    EXPECT_FALSE(backend_closed) << "the check outlived the store";
  };
  auto store = OpenHooked({.verify = verify, .close = [&] { backend_closed = true; }});
  gate.Shut();
  std::thread reader([&] { EXPECT_TRUE(store->Check().ok()); });
  gate.AwaitHeld();
  std::thread closer([&] { EXPECT_TRUE(store->Close().ok()); });
  EXPECT_TRUE(Eventually([&] { return absl::IsUnavailable(store->Info().status()); }));
  EXPECT_FALSE(backend_closed);
  gate.Open();
  reader.join();
  closer.join();
}

TEST(StoreLife, CloseFromSeveralThreadsEndsForAll) {
  auto store = OpenEphemeralStore();
  ASSERT_EQ((*store)->Write(OnePut("t")).outcome, WriteOutcome::kCommitted);
  std::vector<std::thread> closers;
  for (int i = 0; i < 8; ++i) {
    closers.emplace_back([&] { EXPECT_TRUE((*store)->Close().ok()); });
  }
  for (std::thread& closer : closers) closer.join();
}

}  // namespace
}  // namespace aimem
