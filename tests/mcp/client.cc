#include "tests/mcp/client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace aimem::testing {
namespace {

struct Pipe {
  int read_end = -1;
  int write_end = -1;
};

Pipe MakePipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  return {ends[0], ends[1]};
}

}  // namespace

McpClient::McpClient(Store& store, McpOptions options) {
  const Pipe in = MakePipe();
  const Pipe out = MakePipe();
  const Pipe stop = MakePipe();
  to_server_ = in.write_end;
  from_server_ = out.read_end;
  stop_ = stop.write_end;
  thread_ = std::thread([this, &store, options = std::move(options), in, out, stop] {
    served_ = ServeMcp(store, options, in.read_end, out.write_end, stop.read_end);
    for (const int fd : {in.read_end, out.write_end, stop.read_end}) close(fd);
  });
}

McpClient::~McpClient() {
  EXPECT_TRUE(End().ok());
  close(from_server_);
  close(stop_);
}

void McpClient::SendLine(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t n = write(to_server_, text.data() + sent, text.size() - sent);
    ASSERT_GT(n, 0);
    sent += static_cast<std::size_t>(n);
  }
}

std::string McpClient::ReadLine() {
  std::array<char, 1u << 16> bytes;
  std::size_t end = buffer_.find('\n');
  while (end == std::string::npos) {
    const ssize_t n = read(from_server_, bytes.data(), bytes.size());
    if (n <= 0) return "";
    buffer_.append(bytes.data(), static_cast<std::size_t>(n));
    end = buffer_.find('\n');
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

Json McpClient::AskRaw(const Json& request) {
  SendLine(request.dump());
  return Read();
}

Json McpClient::Ask(std::string_view method, const Json& params) {
  const int id = ++id_;
  Json answer =
      AskRaw(Json{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
  EXPECT_EQ(answer["id"], id);
  return answer;
}

Json McpClient::Initialize(std::string_view revision, std::string_view name) {
  const Json answer = Ask("initialize", {{"protocolVersion", revision},
                                         {"capabilities", Json::object()},
                                         {"clientInfo", {{"name", name}, {"version", "1"}}}});
  SendLine(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  return answer["result"];
}

Json McpClient::Call(std::string_view tool, const Json& arguments, const Json& meta) {
  Json params = {{"name", tool}, {"arguments", arguments}};
  if (!meta.is_null()) params["_meta"] = meta;
  return Ask("tools/call", params)["result"];
}

Json McpClient::Value(std::string_view tool, const Json& arguments) {
  const Json result = Call(tool, arguments);
  EXPECT_FALSE(result.contains("isError")) << result;
  return Json::parse(result["content"][0]["text"].get<std::string>());
}

std::string McpClient::Error(std::string_view tool, const Json& arguments) {
  const Json result = Call(tool, arguments);
  EXPECT_EQ(result.value("isError", false), true) << result;
  return result["content"][0]["text"];
}

absl::Status McpClient::End() {
  if (!thread_.joinable()) return served_;
  close(to_server_);
  thread_.join();
  return served_;
}

void McpClient::Stop() {
  EXPECT_EQ(write(stop_, "x", 1), 1);
  thread_.join();
  close(to_server_);
}

}  // namespace aimem::testing
