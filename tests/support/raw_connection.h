// A connection that sends bytes as they are: for HTTP that no client would send.
#pragma once

#include <string>

#include "tests/support/eventually.h"

namespace aimem::testing {

/// A connection that sends bytes as they are.
class RawConnection {
 public:
  explicit RawConnection(int port);
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  void Send(const std::string& bytes);
  /// Nothing more is sent; what comes is still read.
  void CloseSending();
  /// What comes until it contains `end` (`count` times), or the server closes.
  std::string ReadUntil(const std::string& end, int count = 1);
  /// What comes until the server closes.
  std::string ReadAll() { return ReadUntil("", 1); }

 private:
  int socket_ = -1;
  std::string read_;
};

/// "HTTP/1.1 200 …": 200.
int StatusOf(const std::string& answer);

}  // namespace aimem::testing
