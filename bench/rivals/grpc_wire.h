// GrpcWire: unary gRPC calls on a blocking socket, at the price of our HTTP client.
//
// The C++ library of gRPC costs a client several times what writing and reading a request costs.
// On a machine that clients and servers share, that would be charged to the rival.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace aimem::bench {

/// One plaintext HTTP/2 connection, one call at a time. For one thread at a time; movable.
class GrpcWire {
 public:
  /// Connects. `port` of 127.0.0.1. Throws Failure.
  explicit GrpcWire(int port);
  ~GrpcWire();
  GrpcWire(GrpcWire&& other) noexcept;
  GrpcWire& operator=(GrpcWire&&) = delete;

  /// Call `method`, such as "/package.Service/Method", with an encoded message; the encoded reply.
  /// Throws Failure without one. What the server says of an error is not read.
  std::string Call(std::string_view method, std::string_view request);

 private:
  struct Frame;
  Frame ReadFrame();
  void Answer(const Frame& frame);
  void Send(std::string_view bytes);

  int socket_ = -1;
  std::uint32_t stream_ = 1;
  std::string authority_;
  std::string read_;  // Beyond the frames taken so far.
};

}  // namespace aimem::bench
