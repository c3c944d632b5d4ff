// What a tool is: its row in the table, from which schemas, checks and answers follow.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/mcp/revision.h"
#include "services/mcp/rpc.h"

namespace aimem::mcp {

class Call;

enum class Type : std::uint8_t { kText, kInteger, kNumber, kBool, kTexts, kObjects, kObject };

/// An argument, or a member of a result. Its parts are added by the functions below it.
struct Field {
  std::string_view name;
  Type type = Type::kText;
  std::string_view about = {};     ///< For who fills it in.
  bool required = false;           ///< Of a result: it is in every answer.
  bool hidden = false;             ///< Read, and not shown, as in upstream.
  std::string_view fallback = {};  ///< JSON text of the default; empty: none.
  // Shown; whoever reads the value checks it.
  std::vector<std::string_view> values = {};  ///< Of a text: the only ones.
  std::optional<double> min = {}, max = {};   ///< Of a number.

  [[nodiscard]] Field Required() const;
  [[nodiscard]] Field Hidden() const;
  [[nodiscard]] Field Or(std::string_view json) const;
  [[nodiscard]] Field OneOf(std::vector<std::string_view> all) const;
  [[nodiscard]] Field From(double least) const;
  [[nodiscard]] Field To(double most) const;
};
Field Text(std::string_view name, std::string_view about = {});
Field Integer(std::string_view name, std::string_view about = {});
Field Number(std::string_view name, std::string_view about = {});
Field Bool(std::string_view name, std::string_view about = {});
Field Texts(std::string_view name, std::string_view about = {});
Field Object(std::string_view name, std::string_view about = {});
/// Of a result: an array of objects.
Field Objects(std::string_view name);
/// Of a result: what became of the write.
Field Receipt();

/// What a client may tell people of it.
struct Hints {
  bool read_only = false;
  bool destructive = false;  ///< What it writes takes something away.
  bool idempotent = false;   ///< The same again changes nothing more.
  bool open_world = false;   ///< Reaches beyond the store.
};

/// What a tool answers.
struct Answer {
  Json value;                            ///< An object.
  std::optional<std::string> text = {};  ///< What is shown of it; none: the object.
};

struct Tool {
  std::string_view name;
  std::string_view title;
  std::string_view about;
  Hints hints;
  std::vector<Field> arguments;
  std::vector<Field> results;                 ///< Those that are required are in every answer.
  absl::StatusOr<Answer> (*run)(Call& call);  ///< Null: `lacks` says why it is not run.
  std::string_view lacks = {};
};

/// All 36, in the order of the list. The families stand in tools_*.cc.
std::span<const Tool> AllTools();
std::vector<Tool> KeepingTools();
std::vector<Tool> SeveralTools();
std::vector<Tool> AskingTools();
std::vector<Tool> LookingTools();
std::vector<Tool> ArchiveTools();
std::vector<Tool> StandardTools();
std::vector<Tool> PendingTools();
std::vector<Tool> AgentTools();
std::vector<Tool> ModelTools();

/// The tool as `tools/list` shows it.
Json Describe(const Tool& tool, Revision revision);

/// `given` as `tool` takes it: what is missing has its default, null is as good as missing, and
/// what nobody reads is left out. kInvalidArgument: what is wrong with which argument.
absl::StatusOr<Json> CheckArguments(const Tool& tool, const Json& given);

}  // namespace aimem::mcp
