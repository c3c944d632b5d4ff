// The server of the API: what its options mean to the transport, and who begins and ends.
#include <utility>

#include "aimem/services/http.h"
#include "lib/base/status.h"
#include "services/rest/api.h"
#include "services/web/hosts.h"
#include "services/web/server.h"

namespace aimem {
namespace rest {
namespace {

web::ServerOptions ServerOptionsOf(const HttpOptions& options) {
  return {.host = options.host,
          .port = options.port,
          .body_bytes_max = options.body_bytes_max,
          .header_bytes_max = options.header_bytes_max,
          .connections_max = options.connections_max,
          .header_timeout = options.header_timeout,
          .body_timeout = options.body_timeout,
          .idle_timeout = options.idle_timeout,
          .reader_threads = options.reader_threads,
          .headers = {{"Vary",
                       "origin, access-control-request-method, access-control-request-headers"}},
          .log = options.environment.log};
}

class ApiServer final : public HttpServer {
 public:
  // `server` owns `api`.
  ApiServer(std::unique_ptr<web::Server> server, Api& api)
      : server_(std::move(server)), api_(api) {}

  [[nodiscard]] int port() const override { return server_->port(); }
  void SetReady(bool ready) override { api_.SetReady(ready); }
  void Shutdown(absl::Duration grace) override { server_->Shutdown(grace); }

 private:
  std::unique_ptr<web::Server> server_;
  Api& api_;
};

}  // namespace
}  // namespace rest

absl::Status Validate(const HttpOptions& options) {
  AIMEM_RETURN_IF_ERROR(web::Validate(rest::ServerOptionsOf(options)));
  for (const std::string& name : options.allowed_hosts) {
    AIMEM_RETURN_IF_ERROR(web::CheckHostName("allowed_hosts", name));
  }
  AIMEM_RETURN_IF_ERROR(web::CheckTimeout("write_timeout", options.write_timeout));
  if (options.similar_timeout != absl::ZeroDuration()) {
    AIMEM_RETURN_IF_ERROR(web::CheckTimeout("similar_timeout", options.similar_timeout));
  }
  return web::CheckTimeout("health_timeout", options.health_timeout);
}

absl::StatusOr<std::unique_ptr<HttpServer>> StartHttpServer(Store& store,
                                                            const HttpOptions& options) {
  AIMEM_RETURN_IF_ERROR(Validate(options));
  rest::Api* api = nullptr;
  AIMEM_ASSIGN_OR_RETURN(
      std::unique_ptr<web::Server> server,
      web::StartServer(rest::ServerOptionsOf(options), [&](web::Threads& threads) {
        auto made = std::make_unique<rest::Api>(store, options, threads);
        api = made.get();
        return made;
      }));
  return std::make_unique<rest::ApiServer>(std::move(server), *api);
}

}  // namespace aimem
