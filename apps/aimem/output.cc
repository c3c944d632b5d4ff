#include "apps/aimem/output.h"

#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "aimem/environment.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"

namespace aimem::cli {
namespace {

constexpr int kRed = 31;
constexpr int kGreen = 32;
constexpr int kYellow = 33;

std::string Paint(const Context& context, int colour, std::string_view text) {
  if (!context.colour) return std::string(text);
  return absl::StrFormat("\x1b[%dm%s\x1b[0m", colour, text);
}

int TierColour(Tier tier) {
  switch (tier) {
    case Tier::kShort:
      return kRed;
    case Tier::kMid:
      return kYellow;
    case Tier::kLong:
      return kGreen;
  }
  return kYellow;
}

}  // namespace

DescriptorBuffer::DescriptorBuffer(int descriptor) : descriptor_(descriptor) {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

int DescriptorBuffer::sync() {
  const char* at = pbase();
  while (at != pptr() && error_ == 0) {
    const ssize_t n = write(descriptor_, at, static_cast<std::size_t>(pptr() - at));
    if (n > 0) {
      at += n;
    } else if (n < 0 && errno != EINTR) {
      error_ = errno;
    }
  }
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  return error_ == 0 ? 0 : -1;
}

DescriptorBuffer::int_type DescriptorBuffer::overflow(int_type c) {
  if (sync() != 0) return traits_type::eof();
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  return sputc(traits_type::to_char_type(c));
}

ProgressLine::ProgressLine(std::string_view what, std::ostream& err)
    : what_(what),
      err_(err),
      watched_(isatty(STDERR_FILENO) == 1),
      due_(SystemClock().Now() + absl::Seconds(1)) {}

ProgressLine::~ProgressLine() {
  if (shown_) err_ << "\r\x1b[K" << std::flush;
}

std::function<void(const TransferProgress&)> ProgressLine::callback() {
  if (!watched_) return nullptr;
  return [this](const TransferProgress& progress) { Show(progress); };
}

void ProgressLine::Show(const TransferProgress& progress) {
  const absl::Time now = SystemClock().Now();
  if (now < due_) return;
  due_ = now + absl::Milliseconds(100);
  shown_ = true;
  err_ << '\r' << what_ << ": " << progress.done;
  if (progress.total > 0) {
    err_ << " of " << progress.total << " (" << 100 * progress.done / progress.total << " %)";
  }
  err_ << "\x1b[K" << std::flush;
}

std::string Id8(std::string_view id) { return std::string(FirstCharacters(id.substr(0, 8), 8)); }

std::string Age(absl::Time then, absl::Time now) {
  const std::int64_t seconds = absl::ToInt64Seconds(now - then);
  if (seconds < 60) return "just now";
  if (seconds < 3'600) return absl::StrFormat("%dm ago", seconds / 60);
  if (seconds < 86'400) return absl::StrFormat("%dh ago", seconds / 3'600);
  const std::int64_t days = seconds / 86'400;
  if (days < 30) return absl::StrFormat("%dd ago", days);
  return absl::StrFormat("%dmo ago", days / 30);
}

std::string PriorityBar(const Context& context, std::int64_t priority) {
  std::string bar;
  for (std::int64_t cell = 1; cell <= 10; ++cell) bar += cell <= priority ? "█" : "░";
  return Paint(context, priority >= 8 ? kGreen : priority >= 5 ? kYellow : kRed, bar);
}

std::string RowHead(const Context& context, const Memory& memory) {
  return absl::StrFormat("[%s/%s]", Paint(context, TierColour(memory.tier), TierName(memory.tier)),
                         Id8(memory.id));
}

std::string Row(const Context& context, const Memory& memory) {
  return absl::StrFormat("%s %s (p=%d, ns=%s, %s)\n", RowHead(context, memory), memory.title,
                         memory.priority, memory.namespace_, Age(memory.updated_at, context.now));
}

std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> parts;
  for (absl::string_view part : absl::StrSplit(ToAbsl(text), ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

}  // namespace aimem::cli
