// Client configurations in TOML 1.0. A statement is a header, or a key with its value, from where
// its line begins to where it ends; values are checked and passed over, save strings, which are
// read.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "apps/aimem/client_config.h"
#include "lib/base/status.h"
#include "lib/base/utf8.h"

namespace aimem::cli {
namespace {

constexpr char kServerTables[] = "mcp_servers";
constexpr int kDepthMax = 100;

using KeyPath = std::vector<std::string>;

struct Statement {
  enum class Kind { kTable, kArrayOfTables, kKey } kind = Kind::kKey;
  KeyPath path;  ///< Of a key: without the table that it stands in.
  std::size_t begin = 0, end = 0;
  std::size_t value_begin = 0, value_end = 0;
  std::optional<std::string> string;  ///< The value, if it is a string.
};

bool IsBare(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

void AppendUtf8(std::uint32_t code, std::string& text) {
  const auto byte = [&](std::uint32_t bits) { text += static_cast<char>(bits); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) {
    byte(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3F));
  } else {
    byte(0xF0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3F));
    byte(0x80 | (code >> 6 & 0x3F));
  }
  byte(0x80 | (code & 0x3F));
}

/// Reads statements; after the first fault nothing more is read.
class TomlReader {
 public:
  explicit TomlReader(std::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<Statement>> Read() {
    std::vector<Statement> statements;
    if (!IsUtf8(text_)) Fault("is not UTF-8");
    while (ok() && at_ < text_.size()) {
      Statement statement;
      statement.begin = at_;
      SkipBlanks();
      const bool empty = AtLineEnd();
      if (!empty) ReadStatement(statement);
      EndLine();
      statement.end = at_;
      if (!empty && ok()) statements.push_back(std::move(statement));
    }
    if (!ok()) return absl::InvalidArgumentError(fault_);
    return statements;
  }

 private:
  [[nodiscard]] bool ok() const { return fault_.empty(); }
  [[nodiscard]] char Peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool Take(std::string_view what) {
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  void Fault(std::string_view what) {
    if (!ok()) return;
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    fault_ = absl::StrFormat("it is not TOML: line %d %s", line, what);
  }
  void Expect(std::string_view what) {
    if (!Take(what)) Fault(absl::StrFormat("lacks a %s", what));
  }

  void SkipBlanks() {
    while (Peek() == ' ' || Peek() == '\t') ++at_;
  }
  [[nodiscard]] bool AtLineEnd() const {
    const char c = Peek();
    return at_ >= text_.size() || c == '\n' || c == '#' || (c == '\r' && Peek(1) == '\n');
  }
  void SkipComment() {
    if (Peek() != '#') return;
    while (at_ < text_.size() && Peek() != '\n') {
      if (!IsAllowed(Peek()) && !(Peek() == '\r' && Peek(1) == '\n'))
        return Fault("has a control character");
      ++at_;
    }
  }
  void EndLine() {
    SkipBlanks();
    SkipComment();
    if (ok() && at_ < text_.size() && !Take("\n") && !Take("\r\n"))
      Fault("goes on where it must end");
  }
  /// Blanks, ends of lines and comments, as they may stand in an array.
  void SkipLines() {
    while (ok()) {
      SkipBlanks();
      SkipComment();
      if (!Take("\n") && !Take("\r\n")) return;
    }
  }
  static bool IsAllowed(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == '\t' || (byte >= 0x20 && byte != 0x7F);
  }

  void ReadStatement(Statement& statement) {
    if (Take("[[")) {
      statement.kind = Statement::Kind::kArrayOfTables;
      statement.path = Key();
      return Expect("]]");
    }
    if (Take("[")) {
      statement.kind = Statement::Kind::kTable;
      statement.path = Key();
      return Expect("]");
    }
    statement.path = Key();
    Expect("=");
    SkipBlanks();
    statement.value_begin = at_;
    statement.string = Value(0);
    statement.value_end = at_;
  }

  KeyPath Key() {
    KeyPath path;
    do {
      SkipBlanks();
      path.push_back(KeyPart());
      SkipBlanks();
    } while (ok() && Take("."));
    return path;
  }

  std::string KeyPart() {
    if (Peek() == '"' || Peek() == '\'') return OneLineString();
    std::string part;
    while (IsBare(Peek())) part += text_[at_++];
    if (part.empty()) Fault("lacks a key");
    return part;
  }

  /// What it says, of a string.
  std::optional<std::string> Value(int depth) {
    if (depth > kDepthMax) Fault("is nested too deeply");
    if (!ok()) return std::nullopt;
    switch (Peek()) {
      case '"':
      case '\'':
        return String();
      case '[':
        Array(depth);
        return std::nullopt;
      case '{':
        InlineTable(depth);
        return std::nullopt;
      default:
        Scalar();
        return std::nullopt;
    }
  }

  std::string String() {
    if (Take(R"(""")")) return LongString(R"(""")");
    if (Take("'''")) return LongString("'''");
    return OneLineString();
  }

  std::string OneLineString() {
    const char quote = text_[at_++];
    std::string text;
    while (ok() && Peek() != quote) {
      if (at_ >= text_.size() || !IsAllowed(Peek())) {
        Fault("has a string that does not end");
      } else if (quote == '"' && Peek() == '\\') {
        Escape(text);
      } else {
        text += text_[at_++];
      }
    }
    if (ok()) ++at_;
    return text;
  }

  std::string LongString(std::string_view quotes) {
    if (!Take("\n")) Take("\r\n");
    std::string text;
    while (ok() && !Take(quotes)) {
      const char c = Peek();
      const bool line_end = c == '\n' || (c == '\r' && Peek(1) == '\n');
      if (at_ >= text_.size() || (!line_end && !IsAllowed(c))) {
        Fault("has a string that does not end");
      } else if (quotes[0] == '"' && c == '\\' && !SkipContinuation()) {
        Escape(text);
      } else if (quotes[0] != '"' || c != '\\') {
        text += text_[at_++];
      }
    }
    // One or two quotes more belong to the text.
    for (int i = 0; i < 2 && ok() && Peek() == quotes[0]; ++i) text += text_[at_++];
    return text;
  }

  /// A backslash at the end of a line: it, the line's end and all space behind are no text.
  bool SkipContinuation() {
    const std::size_t next = std::min(text_.find_first_not_of(" \t", at_ + 1), text_.size());
    const std::string_view rest = text_.substr(next);
    if (!rest.starts_with("\n") && !rest.starts_with("\r\n")) return false;
    at_ = std::min(text_.find_first_not_of(" \t\r\n", next), text_.size());
    return true;
  }

  void Escape(std::string& text) {
    constexpr std::string_view kNames = "btnfr\"\\";
    constexpr std::string_view kMeanings = "\b\t\n\f\r\"\\";
    const char name = Peek(1);
    at_ = std::min(at_ + 2, text_.size());
    if (name == 'u') return CodeEscape(4, text);
    if (name == 'U') return CodeEscape(8, text);
    const std::size_t found = kNames.find(name);
    if (found == kNames.npos) return Fault("has an escape that there is not");
    text += kMeanings[found];
  }

  void CodeEscape(std::size_t digits, std::string& text) {
    std::uint32_t code = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      const auto c = static_cast<unsigned char>(Peek());
      if (!absl::ascii_isxdigit(c)) return Fault("has an escape that there is not");
      const int digit = absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10;
      code = code << 4 | static_cast<std::uint32_t>(digit);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
      return Fault("has an escape that there is not");
    AppendUtf8(code, text);
  }

  void Array(int depth) {
    ++at_;
    SkipLines();
    while (ok() && !Take("]")) {
      Value(depth + 1);
      SkipLines();
      if (Peek() != ']') Expect(",");
      SkipLines();
    }
  }

  void InlineTable(int depth) {
    ++at_;
    SkipBlanks();
    if (Take("}")) return;
    do {
      Key();
      Expect("=");
      SkipBlanks();
      Value(depth + 1);
      SkipBlanks();
    } while (ok() && Take(","));
    Expect("}");
  }

  // Numbers and times by their letters: whether there is such a day is the client's business.
  void Scalar() {
    for (const std::string_view word :
         {"true", "false", "inf", "+inf", "-inf", "nan", "+nan", "-nan"}) {
      if (Take(word)) return;
    }
    const std::size_t begin = at_;
    if (Peek() == '+' || Peek() == '-') ++at_;
    if (!absl::ascii_isdigit(static_cast<unsigned char>(Peek()))) return Fault("lacks a value");
    while (IsBare(Peek()) || Peek() == '.' || Peek() == ':' || Peek() == '+') ++at_;
    const bool is_date = at_ - begin == 10 && text_[begin + 4] == '-';
    if (is_date && Peek() == ' ' && absl::ascii_isdigit(static_cast<unsigned char>(Peek(1)))) {
      ++at_;
      while (IsBare(Peek()) || Peek() == '.' || Peek() == ':' || Peek() == '+') ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string fault_;
};

// No table and no key is there twice; a table of an array is another one each time.
absl::Status CheckOnce(const std::vector<Statement>& statements) {
  std::set<std::string> seen;
  std::map<std::string, int> arrays;
  // With the number of the table that an array has come to behind each part that is one.
  const auto name = [&](std::string from, const KeyPath& path) {
    for (const std::string& part : path) {
      from += '\0' + part;
      const auto array = arrays.find(from);
      if (array != arrays.end()) from += '\0' + std::to_string(array->second);
    }
    return from;
  };
  std::string table;
  for (const Statement& statement : statements) {
    if (statement.kind == Statement::Kind::kArrayOfTables) {
      const KeyPath above(statement.path.begin(), statement.path.end() - 1);
      ++arrays[name("", above) + '\0' + statement.path.back()];
    }
    const bool key = statement.kind == Statement::Kind::kKey;
    const std::string full = name(key ? table : "", statement.path);
    if (!key) table = full;
    if (seen.insert(full).second) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("it is not TOML: %s is there twice", absl::StrJoin(statement.path, ".")));
  }
  return absl::OkStatus();
}

// What JSON escapes, TOML reads.
std::string Quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string KeyText(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, IsBare) ? name : Quoted(name);
}

std::string ArgsText(const std::vector<std::string>& args) {
  return absl::StrFormat("[%s]", absl::StrJoin(args, ", ", [](std::string* out, const auto& arg) {
                           *out += Quoted(arg);
                         }));
}

class TomlConfig final : public ClientConfig {
 public:
  TomlConfig(std::string text, std::vector<Statement> statements)
      : ClientConfig(std::move(text)), statements_(std::move(statements)) {}

  [[nodiscard]] std::vector<McpServer> Servers() const override {
    std::vector<McpServer> servers;
    for (std::size_t i = 0; i < statements_.size(); ++i) {
      if (!IsServer(statements_[i])) continue;
      const Statement* command = Find(i, "command");
      servers.push_back(
          {.name = statements_[i].path[1], .command = command ? command->string.value_or("") : ""});
    }
    return servers;
  }

  absl::Status Put(const McpServer& server) override {
    if (!Table(server.name)) {
      AIMEM_RETURN_IF_ERROR(CheckFree(server.name));
      return Append(absl::StrFormat("[%s.%s]\ncommand = %s\nargs = %s\n", kServerTables,
                                    KeyText(server.name), Quoted(server.command),
                                    ArgsText(server.args)));
    }
    AIMEM_RETURN_IF_ERROR(SetKey(server.name, "args", ArgsText(server.args)));
    return SetCommand(server.name, server.command);
  }

  absl::Status SetCommand(const std::string& name, const std::string& command) override {
    return SetKey(name, "command", Quoted(command));
  }

  absl::Status TakeBack(const std::string& name, const ClientConfig& before) override {
    const auto& old = static_cast<const TomlConfig&>(before);
    const auto [begin, end] = Extent(*Table(name));
    if (const auto there = old.Table(name)) {
      const auto [old_begin, old_end] = old.Extent(*there);
      return Replace(begin, end, old.text_.substr(old_begin, old_end - old_begin));
    }
    // With the blank line that parted it from what is above.
    const std::string_view above = std::string_view(text_).substr(0, begin);
    const std::size_t blank = above.ends_with("\n\n") ? 1 : above.ends_with("\n\r\n") ? 2 : 0;
    AIMEM_RETURN_IF_ERROR(Replace(begin - blank, end, ""));
    // With the line ends that were put behind a last line without one.
    const std::size_t size = old.text_.size();
    if (!text_.starts_with(old.text_) || text_.find_first_not_of("\r\n", size) != text_.npos) {
      return absl::OkStatus();
    }
    return Replace(size, text_.size(), "");
  }

  [[nodiscard]] bool HasContent() const override {
    return !absl::StripAsciiWhitespace(text_).empty();
  }

 private:
  static bool IsServer(const Statement& statement) {
    return statement.kind == Statement::Kind::kTable && statement.path.size() == 2 &&
           statement.path[0] == kServerTables;
  }

  static bool IsOf(const std::string& name, const KeyPath& path) {
    return path.size() > 1 && path[0] == kServerTables && path[1] == name;
  }

  /// The index of the header of a server's table.
  [[nodiscard]] std::optional<std::size_t> Table(const std::string& name) const {
    for (std::size_t i = 0; i < statements_.size(); ++i) {
      if (IsServer(statements_[i]) && statements_[i].path[1] == name) return i;
    }
    return std::nullopt;
  }

  [[nodiscard]] const Statement* Find(std::size_t header, const std::string& key) const {
    for (std::size_t i = header + 1; i < statements_.size(); ++i) {
      if (statements_[i].kind != Statement::Kind::kKey) break;
      if (statements_[i].path == KeyPath{key}) return &statements_[i];
    }
    return nullptr;
  }

  /// From a server's header to the end of its last key, those of tables inside it included.
  [[nodiscard]] std::pair<std::size_t, std::size_t> Extent(std::size_t header) const {
    const std::string& name = statements_[header].path[1];
    std::size_t end = header + 1;
    while (end < statements_.size() &&
           (statements_[end].kind == Statement::Kind::kKey || IsOf(name, statements_[end].path))) {
      ++end;
    }
    return {statements_[header].begin, statements_[end - 1].end};
  }

  // A table cannot be added to what is written in one line, or key by key.
  [[nodiscard]] absl::Status CheckFree(const std::string& name) const {
    KeyPath table;
    for (const Statement& statement : statements_) {
      const bool key = statement.kind == Statement::Kind::kKey;
      const bool array = statement.kind == Statement::Kind::kArrayOfTables;
      KeyPath full = key ? table : KeyPath();
      full.insert(full.end(), statement.path.begin(), statement.path.end());
      if (!key) table = full;
      const bool all = full == KeyPath{kServerTables} && (key || array);
      const bool one = IsOf(name, full) && (key ? table.size() < 2 : array && full.size() == 2);
      if (!all && !one) continue;
      return absl::FailedPreconditionError(
          absl::StrFormat("%s.%s is not written as a table of its own in it: edit it by hand",
                          kServerTables, name));
    }
    return absl::OkStatus();
  }

  [[nodiscard]] std::string LineEnd() const {
    return text_.find("\r\n") == std::string::npos ? "\n" : "\r\n";
  }

  absl::Status Append(const std::string& table) {
    std::string added = table;
    if (!text_.empty()) added = "\n" + added;
    if (!text_.empty() && text_.back() != '\n') added = "\n" + added;
    return Replace(text_.size(), text_.size(), WithLineEnds(added));
  }

  [[nodiscard]] std::string WithLineEnds(const std::string& text) const {
    return absl::StrJoin(absl::StrSplit(text, '\n'), LineEnd());
  }

  absl::Status SetKey(const std::string& name, const std::string& key, const std::string& value) {
    const std::size_t table = *Table(name);
    if (const Statement* there = Find(table, key)) {
      const std::string old =
          text_.substr(there->value_begin, there->value_end - there->value_begin);
      return old == value ? absl::OkStatus() : Replace(there->value_begin, there->value_end, value);
    }
    const std::size_t at = statements_[table].end;
    const bool ended = text_[at - 1] == '\n';
    const std::string line = key + " = " + value;
    return Replace(at, at, ended ? line + LineEnd() : LineEnd() + line);
  }

  absl::Status Replace(std::size_t begin, std::size_t end, const std::string& with) {
    text_.replace(begin, end - begin, with);
    AIMEM_ASSIGN_OR_RETURN(statements_, TomlReader(text_).Read());
    return CheckOnce(statements_);
  }

  std::vector<Statement> statements_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ClientConfig>> ParseTomlConfig(std::string text) {
  AIMEM_ASSIGN_OR_RETURN(std::vector<Statement> statements, TomlReader(text).Read());
  AIMEM_RETURN_IF_ERROR(CheckOnce(statements));
  return std::make_unique<TomlConfig>(std::move(text), std::move(statements));
}

}  // namespace aimem::cli
