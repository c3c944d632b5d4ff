#include "tests/rest/support.h"

#include <thread>

namespace aimem::testing {

// -- FakeStore ------------------------------------------------------------------------------------

FakeStore::FakeStore() {
  auto opened = OpenStore("memory:");
  EXPECT_TRUE(opened.ok()) << opened.status();
  inner_ = *std::move(opened);
}

void FakeStore::AnswerWrites(WriteResult result) {
  MutexLock lock(mutex_);
  answer_ = std::make_unique<WriteResult>(std::move(result));
}

void FakeStore::HoldWrites() {
  MutexLock lock(mutex_);
  hold_ = true;
}

void FakeStore::Release(WriteResult result) {
  std::vector<WriteCallback> held;
  {
    MutexLock lock(mutex_);
    hold_ = false;
    held.swap(held_);
  }
  std::thread([&] {
    for (WriteCallback& done : held) std::move(done)(result);
  }).join();
}

void FakeStore::AwaitHeld(std::size_t count) {
  MutexLock lock(mutex_);
  while (held_.size() < count) {
    ASSERT_TRUE(changed_.WaitFor(mutex_, kPatience)) << held_.size() << " of " << count;
  }
}

WriteOptions FakeStore::last_options() {
  MutexLock lock(mutex_);
  return last_options_;
}

void FakeStore::WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) {
  std::unique_ptr<WriteResult> answer;
  {
    MutexLock lock(mutex_);
    last_options_ = options;
    if (hold_) {
      held_.push_back(std::move(done));
      changed_.NotifyAll();
      return;
    }
    if (answer_ != nullptr) answer = std::make_unique<WriteResult>(*answer_);
  }
  if (answer == nullptr) {
    return StoreDecorator::WriteAsync(std::move(batch), options, std::move(done));
  }
  std::move(done)(*std::move(answer));
}

std::vector<absl::StatusOr<Memory>> FakeStore::Get(std::span<const std::string> ids,
                                                   const ReadOptions& read_options) {
  if (fail_reads) return {ids.size(), absl::StatusOr<Memory>(fail_reads())};
  return StoreDecorator::Get(ids, read_options);
}

absl::StatusOr<SearchResult> FakeStore::Search(const SearchRequest& request) {
  if (see_search) see_search(request);
  if (fail_search) return fail_search();
  return StoreDecorator::Search(request);
}

absl::StatusOr<OperationInfo> FakeStore::GetOperation(OperationId id, absl::Duration wait) {
  if (operation) return operation(id);
  return StoreDecorator::GetOperation(id, wait);
}

absl::StatusOr<StoreInfo> FakeStore::Info(const InfoOptions& info_options) {
  if (info_options.data && fail_info) {
    if (absl::Status failed = fail_info(); !failed.ok()) return failed;
  }
  absl::StatusOr<StoreInfo> info = StoreDecorator::Info(info_options);
  if (info.ok() && change_info) change_info(*info);
  return info;
}

// -- HttpTest -------------------------------------------------------------------------------------

HttpTest::~HttpTest() { StopServer(absl::Seconds(1)); }

HttpServer& HttpTest::server() {
  if (server_ != nullptr) return *server_;
  options.port = 0;
  if (options.version.empty()) options.version = "1.2.3";
  auto started = StartHttpServer(store, options);
  EXPECT_TRUE(started.ok()) << started.status();
  server_ = *std::move(started);
  server_->SetReady(true);
  return *server_;
}

void HttpTest::StopServer(absl::Duration grace) {
  if (server_ != nullptr) server_->Shutdown(grace);
}

Answer HttpTest::Send(const std::string& method, const std::string& target,
                      const nlohmann::json& body, const clients::HttpHeaders& headers) {
  if (client_ == nullptr) client_ = std::make_unique<clients::HttpClient>("127.0.0.1", port());
  const std::string text = body.is_null() ? "" : body.is_string() ? std::string(body) : body.dump();
  auto sent = client_->Send(method, target, text, headers, kPatience);
  EXPECT_TRUE(sent.ok()) << method << " " << target << ": " << sent.status();
  if (!sent.ok()) return {};
  Answer answer;
  answer.status = sent->status;
  answer.headers = std::move(sent->headers);
  answer.text = std::move(sent->body);
  answer.body = nlohmann::json::parse(answer.text, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(answer.headers.contains("vary")) << method << " " << target;
  return answer;
}

std::string HttpTest::Put(const std::string& title, nlohmann::json more) {
  more["title"] = title;
  if (!more.contains("content")) more["content"] = "content of " + title;
  const Answer answer = Post("/api/v1/memories", more);
  EXPECT_EQ(answer.status, 201) << answer.text;
  return answer.Text("id");
}

std::pair<int, std::string> HttpTest::Raw(const std::string& bytes) {
  RawConnection connection(port());
  connection.Send(bytes);
  std::string text = connection.ReadAll();
  return {StatusOf(text), text};
}

}  // namespace aimem::testing
