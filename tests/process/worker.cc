#include "tests/process/worker.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/str_format.h"
#include "aimem/backends/sqlite.h"
#include "aimem/open.h"
#include "gtest/gtest.h"
#include "lib/base/status.h"
#include "tests/process/dying_vfs.h"

namespace aimem::process {
namespace {

constexpr char kFlag[] = "--worker";

// Lines must be there when this process is killed: one write each.
void Say(const std::string& line) {
  const std::string text = line + "\n";
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) _exit(1);
}

void SayReadyAndWait() {
  Say("ready");
  std::string line;
  std::getline(std::cin, line);
}

absl::Status Committed(const WriteResult& result) {
  if (result.outcome == WriteOutcome::kCommitted) return absl::OkStatus();
  return Annotate(result.status, WriteOutcomeName(result.outcome));
}

absl::Status RunKeyed(const std::vector<std::string>& arguments) {
  const int first = std::atoi(arguments[1].c_str());
  const int keys = std::atoi(arguments[2].c_str());
  const std::string& touched = arguments[3];
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(arguments[0]));
  SayReadyAndWait();
  for (int key = first; key < first + keys; ++key) {
    const WriteResult result =
        store->Write(KeyedBatch(key, touched), {.request_id = KeyedRequest(key)});
    AIMEM_RETURN_IF_ERROR(Committed(result));
    Say(absl::StrFormat("%d %s %s %d %d %d", key, result.operation.ToString(), result.items[0].id,
                        result.stream, result.seq, result.replayed ? 1 : 0));
  }
  return store->Close();
}

absl::Status RunCreator(const std::vector<std::string>& arguments) {
  SayReadyAndWait();
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(arguments[0]));
  const WriteResult result =
      store->Write(PutBatch(kCreatorNamespace, "by worker " + arguments[1], "here"));
  AIMEM_RETURN_IF_ERROR(Committed(result));
  Say(std::to_string(result.stream));
  return store->Close();
}

absl::Status RunDoomed(const std::vector<std::string>& arguments) {
  RegisterDyingVfs(std::atoll(arguments[1].c_str()));
  // The death of a process loses nothing of the page cache: waiting for the disk proves nothing.
  SqliteOptions options;
  options.sync_writes = false;
  options.vfs = kDyingVfs;
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                         OpenSqliteStore(arguments[0], options));
  for (int batch = 0; batch < kDoomedBatches; ++batch) {
    WriteBatch puts;
    for (int i = 0; i < kDoomedPuts; ++i) {
      WriteBatch one = PutBatch(DoomedNamespace(batch), "title " + std::to_string(i),
                                std::string(500, static_cast<char>('a' + i)));
      puts.items.push_back(std::move(one.items[0]));
    }
    AIMEM_RETURN_IF_ERROR(Committed(store->Write(std::move(puts))));
    Say(std::to_string(batch));
  }
  return store->Close();
}

absl::Status RunEraser(const std::vector<std::string>& arguments) {
  RegisterDyingVfs(std::atoll(arguments[1].c_str()));
  SqliteOptions options;
  options.sync_writes = false;
  options.vfs = kDyingVfs;
  AIMEM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                         OpenSqliteStore(arguments[0], options));
  const WriteResult result = store->Write(EraseMemory{arguments[2]});
  AIMEM_RETURN_IF_ERROR(Committed(result));
  Say(result.erasing ? "erasing" : "erased");
  return store->Close();
}

absl::Status Run(const std::string& kind, const std::vector<std::string>& arguments) {
  if (kind == kKeyed) return RunKeyed(arguments);
  if (kind == kCreator) return RunCreator(arguments);
  if (kind == kDoomed) return RunDoomed(arguments);
  if (kind == kEraser) return RunEraser(arguments);
  if (kind == kStormWriter) return RunStormWriter(arguments);
  if (kind == kStormReader) return RunStormReader(arguments);
  return absl::InvalidArgumentError("unknown worker: " + kind);
}

}  // namespace

bool RunAsWorker(const std::vector<std::string>& arguments, int& exit_code) {
  if (arguments.size() < 3 || arguments[0] != kFlag) return false;
  support::DieWithParent(std::atoi(arguments[1].c_str()));
  const absl::Status status = Run(arguments[2], {arguments.begin() + 3, arguments.end()});
  if (!status.ok()) {
    std::cerr << arguments[2] << " " << getpid() << ": " << status << std::endl;
  }
  exit_code = status.ok() ? 0 : 1;
  return true;
}

support::ChildProcess StartWorker(const std::string& kind, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {kFlag, std::to_string(getpid()), kind});
  auto child = support::ChildProcess::Spawn(arguments, {.input = true, .output = true});
  EXPECT_TRUE(child.ok()) << child.status();
  return child.ok() ? *std::move(child) : support::ChildProcess();
}

std::vector<std::string> ReadLines(support::ChildProcess& worker, std::size_t count) {
  std::vector<std::string> lines;
  while (lines.size() < count) {
    const auto line = worker.ReadLine(kPatience);
    EXPECT_TRUE(line.ok()) << line.status();
    if (!line.ok() || !line->has_value()) break;
    lines.push_back(**line);
  }
  return lines;
}

WriteBatch PutBatch(const std::string& namespace_, const std::string& title,
                    const std::string& content) {
  PutMemory put;
  put.namespace_ = namespace_;
  put.title = title;
  put.content = content;
  put.tier = Tier::kLong;
  WriteBatch batch;
  batch.items.emplace_back(std::move(put));
  return batch;
}

absl::StatusOr<std::vector<Memory>> ReadAll(Store& store, const std::string& namespace_) {
  std::vector<Memory> all;
  ListRequest request;
  request.filter.namespace_ = namespace_;
  request.order = ListOrder::kCreated;
  request.limit = 5'000;
  do {
    AIMEM_ASSIGN_OR_RETURN(ListResult page, store.List(request));
    for (Memory& memory : page.memories) all.push_back(std::move(memory));
    request.page_token = std::move(page.next_page_token);
  } while (!request.page_token.empty());
  return all;
}

WriteBatch KeyedBatch(int key, const std::string& touched) {
  WriteBatch batch = PutBatch(kKeyedNamespace, absl::StrFormat("of key %d", key), "once");
  batch.items.emplace_back(TouchMemory{.id = touched});
  return batch;
}

std::string KeyedRequest(int key) { return absl::StrFormat("key %d", key); }

std::string DoomedNamespace(int batch) { return absl::StrFormat("doomed/%d", batch); }

}  // namespace aimem::process
