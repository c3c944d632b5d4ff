// How things are shown: rows, ages, bars, JSON objects; standard output; progress.
#pragma once

#include <array>
#include <cstdint>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aimem/memory.h"
#include "aimem/requests.h"
#include "aimem/transfer.h"
#include "apps/aimem/cli.h"
#include "services/wire/shapes.h"

namespace aimem::cli {

using wire::Agent;
using wire::AgentJson;
using wire::ArchivedJson;
using wire::EffectName;
using wire::HitJson;
using wire::ItemJson;
using wire::JsonArray;
using wire::JsonArrayOf;
using wire::JsonObject;
using wire::JsonStrings;
using wire::LinkArray;
using wire::MemoryArray;
using wire::MemoryObject;
using wire::NamespaceCountArray;
using wire::NothingFoundName;
using wire::ReadAgent;
using wire::StatsJson;

/// Writes to a file descriptor and remembers the first error.
class DescriptorBuffer final : public std::streambuf {
 public:
  explicit DescriptorBuffer(int descriptor);
  ~DescriptorBuffer() override { sync(); }
  /// errno of the first write that failed; 0: none.
  [[nodiscard]] int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  int descriptor_;
  int error_ = 0;
  std::array<char, 1u << 15> buffer_;
};

/// A line on stderr that says how far something has come: only on a terminal, only after a
/// second. Erased at the end.
class ProgressLine {
 public:
  ProgressLine(std::string_view what, std::ostream& err);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  /// Null if nobody watches.
  std::function<void(const TransferProgress&)> callback();

 private:
  void Show(const TransferProgress& progress);

  std::string what_;
  std::ostream& err_;
  bool watched_;
  bool shown_ = false;
  absl::Time due_;
};

// -- Text -----------------------------------------------------------------------------------------

/// The first 8 bytes of an id, without half a character.
std::string Id8(std::string_view id);
/// "just now", "5m ago", "3h ago", "2d ago", "4mo ago".
std::string Age(absl::Time then, absl::Time now);
/// Ten cells, as many of them filled as the priority says.
std::string PriorityBar(const Context& context, std::int64_t priority);
/// "[mid/1f3a0c2e]"
std::string RowHead(const Context& context, const Memory& memory);
/// The row that list and search show.
std::string Row(const Context& context, const Memory& memory);
/// "a, b and c" parts split at commas, trimmed, blanks dropped.
std::vector<std::string> SplitList(std::string_view text);

}  // namespace aimem::cli
