#include "bench/rivals/grpc_wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/measure.h"

namespace aimem::bench {
namespace {

// HTTP/2: RFC 9113, section 6.
constexpr std::size_t kFrameHead = 9;
constexpr std::uint8_t kData = 0;
constexpr std::uint8_t kHeaders = 1;
constexpr std::uint8_t kSettings = 4;
constexpr std::uint8_t kPing = 6;
constexpr std::uint8_t kWindowUpdate = 8;
constexpr std::uint8_t kEndStream = 1;  // Of DATA and HEADERS; ACK of the others.
constexpr std::uint8_t kAck = 1;
constexpr std::uint8_t kEndHeaders = 4;
constexpr std::uint32_t kWindow = (1U << 31) - 1 - 65'535;
constexpr std::size_t kMessageHead = 5;  // Of gRPC: a byte, and the length.

std::string BigEndian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::uint32_t ReadBigEndian(std::string_view text) {
  std::uint32_t value = 0;
  for (const char byte : text) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

std::string MakeFrame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                      std::string_view payload) {
  std::string frame = BigEndian(payload.size(), 3);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  frame += BigEndian(stream, 4);
  frame += payload;
  return frame;
}

/// A string of HPACK (RFC 7541, section 5.2), not compressed; under 127 bytes.
std::string Literal(std::string_view text) {
  std::string literal(1, static_cast<char>(text.size()));
  literal += text;
  return literal;
}

/// Fields of a gRPC request: indexes are those of HPACK's static table, nothing is remembered.
std::string RequestFields(std::string_view method, std::string_view authority) {
  std::string fields = "\x83\x86";  // :method POST, :scheme http
  fields += '\x04';                 // :path
  fields += Literal(method);
  fields += '\x01';  // :authority
  fields += Literal(authority);
  fields += "\x0f\x10";  // content-type
  fields += Literal("application/grpc");
  fields += '\0';
  fields += Literal("te");
  fields += Literal("trailers");
  return fields;
}

}  // namespace

struct GrpcWire::Frame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
};

GrpcWire::GrpcWire(int port) : authority_(absl::StrFormat("127.0.0.1:%d", port)) {
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(socket_);
    throw Failure("cannot connect to " + authority_);
  }
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + MakeFrame(kSettings, 0, 0, "") +
       MakeFrame(kWindowUpdate, 0, 0, BigEndian(kWindow, 4)));
}

GrpcWire::~GrpcWire() {
  if (socket_ >= 0) close(socket_);
}

GrpcWire::GrpcWire(GrpcWire&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      stream_(other.stream_),
      authority_(std::move(other.authority_)),
      read_(std::move(other.read_)) {}

std::string GrpcWire::Call(std::string_view method, std::string_view request) {
  std::string message(1, '\0');
  message += BigEndian(request.size(), 4);
  message += request;
  Send(MakeFrame(kHeaders, kEndHeaders, stream_, RequestFields(method, authority_)) +
       MakeFrame(kData, kEndStream, stream_, message));
  std::string reply;
  while (true) {
    const Frame frame = ReadFrame();
    if (frame.stream != stream_) {
      Answer(frame);
      continue;
    }
    if (frame.type == kData) reply += frame.payload;
    if ((frame.type == kData || frame.type == kHeaders) && (frame.flags & kEndStream) != 0) break;
    if (frame.type != kData && frame.type != kHeaders && frame.type != kWindowUpdate) {
      throw Failure(authority_ + " reset a call");
    }
  }
  stream_ += 2;
  // A call that failed has no message.
  if (reply.size() < kMessageHead) throw Failure(authority_ + " refused a call");
  return reply.substr(kMessageHead);
}

void GrpcWire::Answer(const Frame& frame) {
  if (frame.type == kSettings && frame.flags != kAck) Send(MakeFrame(kSettings, kAck, 0, ""));
  if (frame.type == kPing && frame.flags != kAck) Send(MakeFrame(kPing, kAck, 0, frame.payload));
}

GrpcWire::Frame GrpcWire::ReadFrame() {
  while (true) {
    if (read_.size() >= kFrameHead) {
      const std::string_view all = read_;
      const std::size_t length = ReadBigEndian(all.substr(0, 3));
      if (all.size() >= kFrameHead + length) {
        Frame frame;
        frame.type = static_cast<std::uint8_t>(all[3]);
        frame.flags = static_cast<std::uint8_t>(all[4]);
        frame.stream = ReadBigEndian(all.substr(5, 4));
        frame.payload = all.substr(kFrameHead, length);
        read_.erase(0, kFrameHead + length);
        return frame;
      }
    }
    char buffer[4 << 10];
    const ssize_t count = recv(socket_, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw Failure(authority_ + " closed the connection");
    read_.append(buffer, static_cast<std::size_t>(count));
  }
}

void GrpcWire::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Failure(authority_ + " closed the connection");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace aimem::bench
