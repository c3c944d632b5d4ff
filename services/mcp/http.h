// HttpMount: clients over HTTP, each message a POST.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "services/mcp/rpc.h"
#include "services/mcp/server.h"
#include "services/mcp/sessions.h"
#include "services/web/mount.h"

namespace aimem::mcp {

/// Thread-safe. Messages are read and answered on the threads that may block.
class HttpMount final : public web::Mount {
 public:
  /// `store` must outlive it. `options` are valid.
  HttpMount(Store& store, const McpOptions& options);

  [[nodiscard]] std::string_view path() const override { return "/mcp"; }
  void Handle(web::Request request, web::Respond respond, web::Threads& threads) override;
  void Drain() override { draining_ = true; }

 private:
  /// How what is answered looks.
  enum class Form : std::uint8_t { kJson, kEvents };
  /// One POST: one message, or a batch of them.
  struct Posted {
    const web::Request& http;
    Form form = Form::kJson;
    std::vector<Message> messages;
    bool is_batch = false;
  };

  /// The form that the client takes, of both the first; nullopt: it takes neither.
  static std::optional<Form> FormOf(const web::Request& http);
  /// Why a POST is not read; nullopt: it is.
  [[nodiscard]] std::optional<web::Response> RefusePost(const web::Request& http) const;
  /// The POST is of the stateless revision.
  static bool IsStateless(const Posted& posted);

  web::Response Delete(const web::Request& http);
  web::Response Post(const web::Request& http);
  /// What stands alone.
  [[nodiscard]] web::Response AnswerStateless(const Posted& posted) const;
  web::Response Open(const Posted& posted, const Request& initialize);
  /// What belongs to a session, or should.
  web::Response AnswerInSession(Posted posted);
  web::Response AnswerAll(const Posted& posted, Session& session) const;
  /// nullopt: it was cancelled, and is not answered.
  std::optional<std::string> AnswerOne(const web::Request& http, const Request& request,
                                       Session& session) const;

  const Server server_;
  Sessions sessions_;
  std::atomic<bool> draining_{false};
};

}  // namespace aimem::mcp
