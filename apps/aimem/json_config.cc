// Client configurations in JSON. The parser says whether a text is JSON and of which shape; where
// its parts are is found in the text itself, which the parser has proved sound.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "apps/aimem/client_config.h"
#include "lib/base/status.h"

namespace aimem::cli {
namespace {

using Tree = nlohmann::ordered_json;

constexpr char kServers[] = "mcpServers";
constexpr int kJsonDepthMax = 1'000;
constexpr std::string_view kSpace = " \t\r\n";

struct Span {
  std::size_t begin = 0, end = 0;
};

struct Member {
  std::string key;
  Span key_text, value;
};

std::size_t SkipSpace(std::string_view text, std::size_t at) {
  return std::min(text.find_first_not_of(kSpace, at), text.size());
}

std::size_t StringEnd(std::string_view text, std::size_t at) {
  for (++at; text[at] != '"'; ++at) at += text[at] == '\\' ? 1 : 0;
  return at + 1;
}

std::size_t ValueEnd(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = StringEnd(text, at);
      if (depth == 0) return at;
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}' || c == ']' || kSpace.find(c) != kSpace.npos)) break;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at;
    if (depth == 0 && (c == '}' || c == ']')) break;
  }
  return at;
}

std::vector<Member> Members(std::string_view text, std::size_t open) {
  std::vector<Member> members;
  std::size_t at = SkipSpace(text, open + 1);
  while (text[at] != '}') {
    Member member;
    member.key_text = {at, StringEnd(text, at)};
    member.key = Tree::parse(text.substr(at, member.key_text.end - at)).get<std::string>();
    at = SkipSpace(text, member.key_text.end);  // the colon
    member.value.begin = SkipSpace(text, at + 1);
    member.value.end = ValueEnd(text, member.value.begin);
    at = SkipSpace(text, member.value.end);
    if (text[at] == ',') at = SkipSpace(text, at + 1);
    members.push_back(std::move(member));
  }
  return members;
}

// Of a key that is there twice the last one counts.
std::optional<Member> Find(std::string_view text, std::size_t open, std::string_view key) {
  std::vector<Member> members = Members(text, open);
  const auto found =
      std::find_if(members.rbegin(), members.rend(), [&](const Member& m) { return m.key == key; });
  if (found == members.rend()) return std::nullopt;
  return *found;
}

// Null: `object` is none, or has no such member.
const Tree* Get(const Tree& object, const std::string& key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

/// How a text breaks its lines.
struct Layout {
  explicit Layout(std::string_view text) {
    const std::size_t open = text.find('{');
    const std::size_t first = SkipSpace(text, open + 1);
    const std::string_view space = text.substr(open + 1, first - open - 1);
    if (space.find("\r\n") != space.npos) new_line = "\r\n";
    const std::size_t line = space.rfind('\n');
    if (text[first] == '}') return;
    lines = line != space.npos;
    if (!lines) return;
    const std::string_view indent = space.substr(line + 1);
    unit = static_cast<int>(indent.size());
    if (!indent.empty()) character = indent[0];
  }

  [[nodiscard]] std::string Break(int depth) const {
    if (!lines) return "";
    return new_line + std::string(static_cast<std::size_t>(unit * depth), character);
  }
  [[nodiscard]] std::string Value(const Tree& value, int depth) const {
    if (!lines) return value.dump();
    return absl::StrReplaceAll(value.dump(unit, character), {{"\n", Break(depth)}});
  }
  [[nodiscard]] std::string KeyAndValue(const std::string& key, const Tree& value,
                                        int depth) const {
    return Tree(key).dump() + (lines ? ": " : ":") + Value(value, depth);
  }

  bool lines = true;
  int unit = 2;
  char character = ' ';
  std::string new_line = "\n";
};

// Values in values: what walks them calls itself as often. The text need not be JSON.
int Depth(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') in_string = !in_string;
    if (in_string && c == '\\') ++at;
    if (!in_string && (c == '{' || c == '[')) deepest = std::max(deepest, ++depth);
    if (!in_string && (c == '}' || c == ']')) --depth;
  }
  return deepest;
}

using Keys = std::vector<std::string>;

class JsonConfig final : public ClientConfig {
 public:
  JsonConfig(std::string text, Tree value, bool with_type)
      : ClientConfig(std::move(text)), value_(std::move(value)), with_type_(with_type) {}

  [[nodiscard]] std::vector<McpServer> Servers() const override {
    std::vector<McpServer> servers;
    const Tree* const all = Get(value_, kServers);
    if (all == nullptr) return servers;
    for (const auto& [name, server] : all->items()) {
      const Tree* const command = Get(server, "command");
      const bool has = command != nullptr && command->is_string();
      servers.push_back({.name = name, .command = has ? command->get<std::string>() : ""});
    }
    return servers;
  }

  absl::Status Put(const McpServer& server) override {
    if (Server(server.name) == nullptr) {
      Tree value = Tree::object();
      if (with_type_) value["type"] = "stdio";
      value["command"] = server.command;
      value["args"] = server.args;
      return Set({kServers, server.name}, value);
    }
    AIMEM_RETURN_IF_ERROR(SetCommand(server.name, server.command));
    return SetMember(server.name, "args", server.args);
  }

  absl::Status SetCommand(const std::string& name, const std::string& command) override {
    if (!Server(name)->is_object()) {
      return absl::FailedPreconditionError(
          absl::StrFormat("the server \"%s\" in it is not an object: edit it by hand", name));
    }
    return SetMember(name, "command", command);
  }

  absl::Status TakeBack(const std::string& name, const ClientConfig& before) override {
    const auto& old = static_cast<const JsonConfig&>(before);
    if (old.Server(name) != nullptr) return SetText({kServers, name}, old.TextOf({kServers, name}));
    AIMEM_RETURN_IF_ERROR(Remove({kServers, name}));
    if (!value_[kServers].empty() || old.value_.contains(kServers)) return absl::OkStatus();
    return Remove({kServers});
  }

  [[nodiscard]] bool HasContent() const override { return !value_.empty(); }

 private:
  [[nodiscard]] const Tree* Server(const std::string& name) const {
    const Tree* const servers = Get(value_, kServers);
    return servers == nullptr ? nullptr : Get(*servers, name);
  }

  absl::Status SetMember(const std::string& name, const std::string& key, const Tree& value) {
    const Tree* const there = Get(*Server(name), key);
    if (there != nullptr && *there == value) return absl::OkStatus();
    return Set({kServers, name, key}, value);
  }

  [[nodiscard]] std::size_t Root() const { return text_.find('{'); }

  /// Where the object begins that holds the last key of `path`; as far as there are objects.
  std::size_t Descend(const Keys& path, std::size_t& depth) const {
    std::size_t open = Root();
    for (depth = 0; depth + 1 < path.size(); ++depth) {
      const std::optional<Member> member = Find(text_, open, path[depth]);
      if (!member) break;
      open = member->value.begin;
    }
    return open;
  }

  [[nodiscard]] std::string TextOf(const Keys& path) const {
    std::size_t depth = 0;
    const std::size_t open = Descend(path, depth);
    const Span value = Find(text_, open, path.back())->value;
    return text_.substr(value.begin, value.end - value.begin);
  }

  absl::Status Set(const Keys& path, const Tree& value) {
    const Layout layout(text_);
    std::size_t depth = 0;
    const std::size_t open = Descend(path, depth);
    const int level = static_cast<int>(depth) + 1;
    const std::optional<Member> there = Find(text_, open, path[depth]);
    if (there) return Replace(there->value, layout.Value(value, level));
    Tree nested = value;
    for (std::size_t i = path.size() - 1; i > depth; --i) nested = Tree{{path[i], nested}};
    const std::string added = layout.Break(level) + layout.KeyAndValue(path[depth], nested, level);
    const std::vector<Member> members = Members(text_, open);
    if (!members.empty()) {
      const std::size_t end = members.back().value.end;
      return Replace({end, end}, "," + added);
    }
    const std::size_t close = SkipSpace(text_, open + 1);
    return Replace({open + 1, close}, added + layout.Break(level - 1));
  }

  absl::Status SetText(const Keys& path, const std::string& value) {
    std::size_t depth = 0;
    const std::size_t open = Descend(path, depth);
    return Replace(Find(text_, open, path.back())->value, value);
  }

  absl::Status Remove(const Keys& path) {
    std::size_t depth = 0;
    const std::size_t open = Descend(path, depth);
    const std::vector<Member> members = Members(text_, open);
    const auto found = std::ranges::find(members, path.back(), &Member::key);
    if (members.size() == 1) return Replace({open + 1, ValueEnd(text_, open) - 1}, "");
    if (found == members.begin())
      return Replace({found->key_text.begin, found[1].key_text.begin}, "");
    return Replace({found[-1].value.end, found->value.end}, "");
  }

  absl::Status Replace(Span span, const std::string& text) {
    text_.replace(span.begin, span.end - span.begin, text);
    value_ = Tree::parse(text_);
    return absl::OkStatus();
  }

  Tree value_;
  bool with_type_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ClientConfig>> ParseJsonConfig(std::string text, bool with_type) {
  if (absl::StripAsciiWhitespace(text).empty()) text = "{}\n";
  if (Depth(text) > kJsonDepthMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("it is nested more than %d levels deep", kJsonDepthMax));
  }
  Tree value;
  try {
    value = Tree::parse(text);
  } catch (const Tree::exception& error) {
    return absl::InvalidArgumentError(absl::StrFormat("it is not JSON: %s", error.what()));
  }
  if (!value.is_object()) return absl::InvalidArgumentError("it is not a JSON object");
  const auto servers = value.find(kServers);
  if (servers != value.end() && !servers->is_object()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("its member \"%s\" is not an object", kServers));
  }
  return std::make_unique<JsonConfig>(std::move(text), std::move(value), with_type);
}

}  // namespace aimem::cli
