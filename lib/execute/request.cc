#include "lib/execute/request.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "aimem/limits.h"
#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/log/commit.h"
#include "lib/log/grammar.h"
#include "lib/model/parts.h"

namespace aimem {

OperationId ChooseOperation(const WriteOptions& options, Random& random, absl::Time now) {
  return options.request_id.empty()
             ? execute::FreshOperation(random, now)
             : execute::KeyedOperation(options.principal, options.request_id);
}

namespace execute {
namespace {

// Encodes request structs field by field: every value has a fixed width or a length before it,
// and every optional a presence byte, so that two different requests never share their bytes.
class Encoder {
 public:
  std::string out;

  void Add(std::string_view text) { log::AppendBytes(text, out); }
  void Add(const std::string& text) { log::AppendBytes(text, out); }
  void Add(std::int64_t value) { log::AppendU64(static_cast<std::uint64_t>(value), out); }
  void Add(double value) { log::AppendU64(std::bit_cast<std::uint64_t>(value), out); }
  void Add(bool value) { out.push_back(value ? '\x01' : '\x00'); }
  void Add(Tier value) { out.push_back(static_cast<char>(value)); }
  void Add(absl::Time value) { Add(model::ToNanoseconds(value)); }
  void Add(const std::vector<std::string>& values) {
    log::AppendVarint(values.size(), out);
    for (const std::string& value : values) Add(value);
  }
  template <typename T>
  void Add(const std::optional<T>& value) {
    Add(value.has_value());
    if (value) Add(*value);
  }
  void Add(const Memory& m) {
    All(m.id, m.tier, m.namespace_, m.title, m.content, m.tags, std::int64_t{m.priority},
        m.confidence, m.source, m.access_count, m.created_at, m.updated_at, m.last_accessed_at,
        m.expires_at, m.metadata);
  }
  template <typename... Ts>
  void All(const Ts&... values) {
    (Add(values), ...);
  }

  void operator()(const PutMemory& i) {
    All(i.namespace_, i.title, i.content, i.tier, i.tags, i.priority, i.confidence, i.source,
        i.expires_at, i.ttl_seconds, i.metadata, i.scope);
  }
  void operator()(const ImportMemory& i) { All(i.memory, i.archived_at); }
  void operator()(const PatchMemory& i) {
    All(i.id, i.title, i.content, i.tier, i.namespace_, i.tags, i.priority, i.confidence,
        i.expires_at, i.metadata);
  }
  void operator()(const DeleteMemory& i) { All(i.id); }
  void operator()(const PromoteMemory& i) { All(i.id, i.to_namespace); }
  void operator()(const AddLink& i) { All(i.source_id, i.target_id, i.relation, i.created_at); }
  void operator()(const RemoveLink& i) { All(i.source_id, i.target_id, i.relation); }
  void operator()(const TouchMemory& i) { All(i.id); }
  void operator()(const ForgetMemories& i) { All(i.namespace_, i.pattern, i.tier); }
  void operator()(const ExpireMemories& i) { All(i.archive); }
  void operator()(const RestoreMemory& i) { All(i.id); }
  void operator()(const PurgeArchive& i) { All(i.older_than_days); }
  void operator()(const ConsolidateMemories& i) {
    All(i.ids, i.title, i.summary, i.namespace_, i.tier, i.source);
  }
  void operator()(const SetStandard& i) { All(i.namespace_, i.memory_id, i.parent, i.policy); }
  void operator()(const ClearStandard& i) { All(i.namespace_); }
  void operator()(const RegisterAgent& i) { All(i.agent_id, i.agent_type, i.capabilities); }
  void operator()(const QueuePending& i) {
    All(i.action_type, i.memory_id, i.namespace_, i.payload);
  }
  void operator()(const DecidePending& i) { All(i.action_id, i.approve); }
};

std::string EncodeBatch(const WriteBatch& batch) {
  Encoder encoder;
  for (const WriteItem& item : batch.items) {
    encoder.out.push_back(static_cast<char>(item.index()));
    std::visit(encoder, item);
  }
  return std::move(encoder.out);
}

constexpr std::uint8_t kAnswerVersion = 1;
// What a commit can hold: earlier versions did not bound messages.
constexpr std::size_t kMaxText = log::kMaxCommitBytes;

}  // namespace

Hash256 RequestHash(const WriteBatch& batch, bool allow_partial) {
  return Sha256({allow_partial ? "partial" : "whole", EncodeBatch(batch)});
}

std::size_t ApproximateBytes(const WriteBatch& batch) {
  std::size_t bytes = 0;
  for (const WriteItem& item : batch.items) {
    bytes += sizeof(WriteItem);
    if (const auto* put = std::get_if<PutMemory>(&item)) {
      bytes += put->content.size() + put->title.size() + put->metadata.size();
    } else if (const auto* imported = std::get_if<ImportMemory>(&item)) {
      bytes += imported->memory.content.size() + imported->memory.metadata.size();
    } else if (const auto* patch = std::get_if<PatchMemory>(&item)) {
      bytes += patch->content.value_or("").size() + patch->metadata.value_or("").size();
    } else if (const auto* merged = std::get_if<ConsolidateMemories>(&item)) {
      bytes += merged->summary.size();
    }
  }
  return bytes;
}

OperationId KeyedOperation(std::string_view principal, std::string_view request_id) {
  return Cut(Sha256({principal, std::string_view("\0", 1), request_id}));
}

OperationId DerivedOperation(const OperationId& operation, std::uint64_t k) {
  if (k == 0) return operation;
  std::string number;
  log::AppendU64(k, number);
  return Cut(Sha256({AsBytes(operation), number}));
}

OperationId FreshOperation(Random& random, absl::Time now) {
  OperationId id;
  random.Fill(id.bytes);
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToUnixMillis(now)));
  for (int i = 0; i < 6; ++i) {
    id.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
  }
  id.bytes[6] = static_cast<std::uint8_t>(0x70 | (id.bytes[6] & 0x0f));
  id.bytes[8] = static_cast<std::uint8_t>(0x80 | (id.bytes[8] & 0x3f));
  return id;
}

absl::Status BoundedMessage(absl::Status status) {
  constexpr std::string_view kCut = " [...]";
  const std::string_view message = ToStd(status.message());
  if (message.size() <= limits::kMessageBytes) return status;
  std::size_t end = limits::kMessageBytes - kCut.size();
  // Not inside a character of UTF-8.
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0) == 0x80) --end;
  return MakeStatus(status.code(), std::string(message.substr(0, end)).append(kCut));
}

std::string EncodeAnswer(const Answer& answer) {
  std::string out;
  out.push_back(static_cast<char>(kAnswerVersion));
  out.push_back(answer.last ? '\x01' : '\x00');
  log::AppendVarint(answer.items.size(), out);
  for (const ItemResult& item : answer.items) {
    log::AppendVarint(static_cast<std::uint64_t>(item.status.code()), out);
    log::AppendBytes(ToStd(item.status.message()), out);
    out.push_back(static_cast<char>(item.effect));
    log::AppendBytes(item.id, out);
    log::AppendVarint(static_cast<std::uint64_t>(item.count), out);
  }
  return out;
}

absl::StatusOr<Answer> DecodeAnswer(std::string_view bytes) {
  log::Reader reader(bytes);
  Answer answer;
  if (reader.Byte() != kAnswerVersion) reader.Fail("unknown version of an answer");
  answer.last = reader.Byte() != 0;
  const std::uint64_t count = reader.Varint();
  if (count > 100'000) reader.Fail("too many results in an answer");
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    ItemResult item;
    const std::uint64_t code = reader.Varint();
    const std::string_view message = reader.Bytes(kMaxText);
    if (code > 16) reader.Fail("unknown status code in an answer");
    if (code != 0) item.status = MakeStatus(static_cast<absl::StatusCode>(code), message);
    item.effect = static_cast<ItemEffect>(reader.Byte());
    item.id = std::string(reader.Bytes(kMaxText));
    item.count = static_cast<std::int64_t>(reader.Varint());
    answer.items.push_back(std::move(item));
  }
  AIMEM_RETURN_IF_ERROR(reader.status());
  if (!reader.AtEnd()) return absl::DataLossError("bytes after the end of an answer");
  return answer;
}

}  // namespace execute
}  // namespace aimem
