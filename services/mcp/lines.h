// LineReader: lines of a descriptor, none longer than it may be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace aimem::mcp {

/// One thread.
class LineReader {
 public:
  enum class End : std::uint8_t {
    kLine,     ///< There is one.
    kTooLong,  ///< There was one, which is skipped.
    kClosed,   ///< Nothing more comes; what came after the last LF was a line, if it was anything.
    kStopped   ///< `stop` can be read from, or nobody reads `out` any more.
  };

  /// Descriptors, which are borrowed. -1: none.
  struct Ends {
    int in = -1;
    int out = -1;
    int stop = -1;
  };

  /// Reads `ends.in` as long as somebody reads `ends.out`, and until `ends.stop` can be read from.
  LineReader(const Ends& ends, std::size_t bytes_max) : ends_(ends), bytes_max_(bytes_max) {}

  /// Wait for a line, without its LF. kUnavailable: `in` cannot be read.
  absl::StatusOr<End> Next(std::string* line);

 private:
  /// True: there is more in the buffer, or nothing will come (`closed_`). False: stopped.
  absl::StatusOr<bool> Fill();

  const Ends ends_;
  const std::size_t bytes_max_;
  std::string buffer_;
  std::size_t searched_ = 0;  // of the buffer, without an LF
  bool skipping_ = false;     // the rest of a line that is too long
  bool closed_ = false;
};

}  // namespace aimem::mcp
