// A client of ServeMcp at the ends of two pipes, which sees every byte of every message.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "aimem/services/mcp.h"
#include "aimem/store.h"

namespace aimem::testing {

using Json = nlohmann::json;

class McpClient {
 public:
  /// Serves `store`, which must outlive it, until End().
  explicit McpClient(Store& store, McpOptions options = {});
  ~McpClient();
  McpClient(const McpClient&) = delete;
  McpClient& operator=(const McpClient&) = delete;

  void SendLine(std::string_view line);
  /// The next line that comes, without its LF; empty: nothing comes any more.
  std::string ReadLine();
  Json Read() { return Json::parse(ReadLine()); }

  /// Ask, and return the whole answer.
  Json AskRaw(const Json& request);
  Json Ask(std::string_view method, const Json& params = Json::object());
  /// initialize with this revision; returns its result.
  Json Initialize(std::string_view revision, std::string_view name = "test");
  /// The result of a tool.
  Json Call(std::string_view tool, const Json& arguments = Json::object(),
            const Json& meta = nullptr);
  /// What a tool answers as JSON text.
  Json Value(std::string_view tool, const Json& arguments = Json::object());
  /// The text of a tool that fails.
  std::string Error(std::string_view tool, const Json& arguments = Json::object());

  /// Close the client's end; what serving returned.
  absl::Status End();
  /// What `stop` means.
  void Stop();

 private:
  int to_server_ = -1;
  int from_server_ = -1;
  int stop_ = -1;
  int id_ = 0;
  std::string buffer_;
  absl::Status served_;
  std::thread thread_;
};

}  // namespace aimem::testing
