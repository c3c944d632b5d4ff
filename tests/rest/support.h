// A real server on a free port, clients, and a store that answers writes as a test tells it to.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "aimem/open.h"
#include "aimem/services/http.h"
#include "aimem/store_decorator.h"
#include "clients/http/http_client.h"
#include "gtest/gtest.h"
#include "lib/base/mutex.h"
#include "tests/support/eventually.h"
#include "tests/support/raw_connection.h"

namespace aimem::testing {

struct Answer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string text;
  nlohmann::json body;  // discarded if it is no JSON

  [[nodiscard]] std::string Text(const std::string& key) const {
    return body.is_object() && body.contains(key) && body[key].is_string() ? body[key] : "";
  }
};

/// Passes reads on to a store in memory; answers writes itself if it was told how.
class FakeStore final : public StoreDecorator {
 public:
  FakeStore();
  ~FakeStore() override { EXPECT_TRUE(Close().ok()); }

  /// Every write is answered so; the operation id is filled in if it is zero.
  void AnswerWrites(WriteResult result);
  /// Writes are not answered until Release().
  void HoldWrites();
  /// Answer those that were held with `result`, from a thread of its own.
  void Release(WriteResult result);
  /// Wait until so many writes are held.
  void AwaitHeld(std::size_t count);
  /// What the last write was asked with.
  WriteOptions last_options();

  std::function<void(StoreInfo&)> change_info;
  /// What Info() fails with that asks the data.
  std::function<absl::Status()> fail_info;
  std::function<absl::StatusOr<OperationInfo>(OperationId)> operation;
  std::function<absl::Status()> fail_reads;
  std::function<absl::Status()> fail_search;
  std::function<void(const SearchRequest&)> see_search;

  void WriteAsync(WriteBatch batch, const WriteOptions& options, WriteCallback done) override;
  using Store::Get;
  std::vector<absl::StatusOr<Memory>> Get(std::span<const std::string> ids,
                                          const ReadOptions& options) override;
  using Store::Search;
  absl::StatusOr<SearchResult> Search(const SearchRequest& request) override;
  absl::StatusOr<OperationInfo> GetOperation(OperationId id, absl::Duration wait) override;
  absl::StatusOr<StoreInfo> Info(const InfoOptions& options) override;

 private:
  Store& below() override { return *inner_; }

  std::unique_ptr<Store> inner_;
  Mutex mutex_;
  CondVar changed_;
  std::unique_ptr<WriteResult> answer_ ABSL_GUARDED_BY(mutex_);
  bool hold_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<WriteCallback> held_ ABSL_GUARDED_BY(mutex_);
  WriteOptions last_options_ ABSL_GUARDED_BY(mutex_);
};

/// A server over a FakeStore.
class HttpTest : public ::testing::Test {
 protected:
  ~HttpTest() override;

  /// Before the first request.
  HttpOptions options;
  FakeStore store;

  HttpServer& server();
  int port() { return server().port(); }
  void StopServer(absl::Duration grace = kPatience);

  Answer Send(const std::string& method, const std::string& target,
              const nlohmann::json& body = nullptr, const clients::HttpHeaders& headers = {});
  Answer Get(const std::string& target, const clients::HttpHeaders& headers = {}) {
    return Send("GET", target, nullptr, headers);
  }
  Answer Post(const std::string& target, const nlohmann::json& body = nullptr,
              const clients::HttpHeaders& headers = {}) {
    return Send("POST", target, body, headers);
  }
  /// Store a memory, which must succeed: its id.
  std::string Put(const std::string& title, nlohmann::json more = nlohmann::json::object());
  /// The status of an answer to bytes sent as they are, and its whole text.
  std::pair<int, std::string> Raw(const std::string& bytes);

 private:
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<clients::HttpClient> client_;
};

}  // namespace aimem::testing
