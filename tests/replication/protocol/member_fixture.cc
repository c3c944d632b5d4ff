#include "tests/replication/protocol/member_fixture.h"

namespace aimem::replication {

Id128 IdOf(char name) {
  Id128 id;
  id.bytes.fill(static_cast<std::uint8_t>(name));
  return id;
}

std::string EncodedCommit(std::uint64_t stream, std::uint64_t seq, std::size_t bytes,
                          const std::string& history) {
  log::Commit commit;
  commit.header.agent_id = history;
  commit.header.stream = stream;
  commit.header.seq = seq;
  commit.header.hlc = 1'000 + seq;
  commit.header.results = std::string(bytes, 'x');
  return log::EncodeCommit(commit);
}

StreamHead HeadOf(std::uint64_t stream, std::uint64_t seq, std::size_t bytes,
                  const std::string& history) {
  return *log::PeekHead(EncodedCommit(stream, seq, bytes, history));
}

StreamHeads HeadsOf(const VersionVector& vector) {
  StreamHeads heads;
  for (const auto& [stream, seq] : vector) heads[stream] = HeadOf(stream, seq);
  return heads;
}

Header HeaderOf(char name, const VersionVector& vector) {
  static std::uint64_t sequence = 0;
  Header header;
  header.member = IdOf(name);
  header.incarnation = static_cast<std::uint64_t>(name);
  header.sequence = ++sequence;
  header.heads = HeadsOf(vector);
  header.address = std::string(1, name);
  return header;
}

AppendOutcome Reply(Header header) {
  AppendOutcome outcome;
  outcome.reply.header = std::move(header);
  return outcome;
}

AppendOutcome Reply(char name, const VersionVector& vector) {
  return Reply(HeaderOf(name, vector));
}

AppendOutcome Failure(CallError error) { return {.error = error, .message = "by the test"}; }

}  // namespace aimem::replication
