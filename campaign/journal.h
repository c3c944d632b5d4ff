// The journal of a writer: what it was about to write, and what the store acknowledged.
//
//   intent NUMBER VERB NAMESPACE TITLE CONTENT-HASH TIME
//   ack    NUMBER ID CONTENT-HASH STREAM SEQ LATENCY REPLAYED TIME
//
// Fields are separated by one tab, "-" stands for an empty one; TIME and LATENCY are microseconds.
// A line is appended by one write. A last line without its newline was being written when the
// writer died, and counts as never written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace aimem::campaign {

enum class Verb : std::uint8_t { kPut, kDelete, kTouch, kLink };

/// Appended before a write is sent.
struct Intent {
  std::int64_t number = 0;  ///< Of the write, in its journal.
  Verb verb = Verb::kPut;
  /// Name of the memory. Neither may hold a tab or a line feed.
  std::string namespace_;
  std::string title;
  std::string content_hash;  ///< HashContent; of a put alone.
  /// MonotonicMicroseconds before it was sent first.
  std::int64_t at = 0;
};

/// Appended when the store has said that a write is committed.
struct Ack {
  std::int64_t number = 0;
  std::string id;            ///< Of the memory.
  std::string content_hash;  ///< As in the intent.
  /// Where the commit stands in the store's log; seq 0: the answer did not say.
  std::uint64_t stream = 0;
  std::uint64_t seq = 0;
  std::int64_t latency = 0;
  /// The write had been carried out before: an earlier answer was lost.
  bool replayed = false;
  std::int64_t at = 0;  ///< MonotonicMicroseconds after the answer.
};

struct Journal {
  std::string name;
  std::vector<Intent> intents;  ///< In the order of the journal, each number once.
  std::vector<Ack> acks;
};

/// Parse a journal. kDataLoss with the line: it is no journal, an intent is there twice, or an
/// acknowledgement precedes its intent.
absl::StatusOr<Journal> ParseJournal(std::string name, std::string_view text);

/// Parse the file at `path`; one that is not there is an empty journal.
absl::StatusOr<Journal> ReadJournal(const std::string& path);

/// Intents without an acknowledgement, in order.
std::vector<Intent> Unacknowledged(const Journal& journal);

/// Appends to a journal. Thread-safe.
class JournalWriter {
 public:
  /// Go on with the file at `path`, made if absent; an unfinished last line is cut off. `sync`:
  /// every line is on the disk when Append returns.
  static absl::StatusOr<JournalWriter> Open(const std::string& path, bool sync);
  ~JournalWriter();
  JournalWriter(JournalWriter&& other) noexcept;
  JournalWriter& operator=(JournalWriter&&) = delete;

  absl::Status Append(const Intent& intent);
  absl::Status Append(const Ack& ack);

 private:
  JournalWriter(int fd, bool sync) : fd_(fd), sync_(sync) {}
  absl::Status AppendLine(const std::string& line);

  int fd_;
  bool sync_;
};

/// The first half of SHA-256, in hexadecimal.
std::string HashContent(std::string_view content);

/// One clock for all processes of a machine; only differences mean anything.
std::int64_t MonotonicMicroseconds();

}  // namespace aimem::campaign
