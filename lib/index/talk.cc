#include "lib/index/talk.h"

#include <algorithm>
#include <optional>

#include "lib/base/hash.h"
#include "lib/model/validate.h"

namespace aimem::index {
namespace {

using model::MemoryView;
using model::Part;

constexpr std::size_t kSpeakerBytesMax = 40;
constexpr std::size_t kStreamNameBytes = 64;  // longer ones are hashed
constexpr std::ptrdiff_t kSpeakerWordsMax = 3;

// The first of the tags, which NUL separates, that names a session.
std::string_view SessionTag(std::string_view tags) {
  constexpr std::string_view kSession = "session";
  while (!tags.empty()) {
    const std::string_view tag = tags.substr(0, tags.find('\0'));
    tags.remove_prefix(std::min(tag.size() + 1, tags.size()));
    if (tag.size() > kSession.size() + 1 && tag.starts_with(kSession) &&
        std::string_view("-_:/=#").find(tag[kSession.size()]) != std::string_view::npos) {
      return tag;
    }
  }
  return {};
}

// The JSON text of a metadata member that says something.
std::string_view MetaValue(const MemoryView& view, std::span<const Part> parts,
                           std::string_view key) {
  const Part* part = model::Find(parts, model::MetaPart(key));
  if (!part || !model::MetaVisible(*part, view)) return {};
  return part->value == "null" || part->value == "\"\"" ? std::string_view() : part->value;
}

bool IsTalkSource(std::string_view source) {
  return source == "import" || source == "hook" || source.starts_with("mine-");
}

std::string StreamOf(const MemoryView& view, std::span<const Part> parts) {
  const auto stream = [&](char kind, std::string_view name) {
    // It is kept of every turn that a search looks at.
    if (name.size() > kStreamNameBytes) {
      const std::string hash(AsBytes(Sha256({name})));
      return std::string(view.namespace_).append(1, '\0').append(1, kind).append(1, '\0') + hash;
    }
    return std::string(view.namespace_).append(1, '\0').append(1, kind).append(name);
  };
  if (const std::string_view tag = SessionTag(view.tags); !tag.empty()) return stream('t', tag);
  const std::string_view session = MetaValue(view, parts, "session_id");
  if (!session.empty()) return stream('m', session);
  if (!IsTalkSource(view.source)) return {};
  return stream('a', view.agent_id).append(1, '\0').append(view.source);
}

bool IsNameByte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         static_cast<unsigned char>(byte) >= 0x80;
}

// What stands before the colon, if it can be a name: `Caroline`, `Dr. Ann Lee`, `[user]`, `bob_2`.
std::string_view LeadingName(std::string_view content) {
  const std::string_view name = content.substr(0, content.substr(0, kSpeakerBytesMax).find(':'));
  if (name.size() == content.size() || name.size() >= kSpeakerBytesMax || name.empty()) return {};
  const std::string_view rest = content.substr(name.size() + 1);
  if (!rest.empty() && rest.front() != ' ' && rest.front() != '\n') return {};
  const bool bracket = name.front() == '[' && name.back() == ']';
  if (!bracket && !IsNameByte(name.front())) return {};
  const std::string_view bare = bracket ? name.substr(1, name.size() - 2) : name;
  const bool good = std::all_of(bare.begin(), bare.end(), [](char byte) {
    return IsNameByte(byte) || (byte >= '0' && byte <= '9') ||
           std::string_view(" .-_'").find(byte) != std::string_view::npos;
  });
  return good && std::count(bare.begin(), bare.end(), ' ') < kSpeakerWordsMax ? name
                                                                              : std::string_view();
}

}  // namespace

TalkRole ReadTalk(const MemoryView& view, std::span<const Part> parts) {
  TalkRole role{.stream = StreamOf(view, parts), .speaker = {}};
  const std::string_view name = LeadingName(view.content);
  if (!name.empty()) {
    role.speaker = std::string(name);
    return role;
  }
  const std::string_view author = MetaValue(view, parts, "author");
  if (!author.empty()) role.speaker = model::JsonStringValue(author).value_or(std::string());
  return role;
}

}  // namespace aimem::index
