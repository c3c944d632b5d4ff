// A gRPC server that remembers, three times: what one of them is told, all of them know.
// Replication lives on the host's port, as one more service.
//
//   example_embed_federation FOLDER PORT PORT PORT
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "aimem/backends/sqlite.h"
#include "aimem/replication/replicated_store.h"
#include "notes.grpc.pb.h"
#include "outcome.h"

namespace {

using embed_federation::StatusOf;

// What the host offers. It is given a Store, and need not know that it is a federation's.
class NotesService final : public notes::Notes::Service {
 public:
  explicit NotesService(aimem::Store& store) : store_(store) {}

  grpc::Status Remember(grpc::ServerContext*, const notes::Note* note,
                        notes::Remembered* remembered) override {
    const aimem::WriteResult result = store_.Write(
        aimem::PutMemory{.namespace_ = "notes", .title = note->title(), .content = note->text()});
    if (grpc::Status status = StatusOf(result); !status.ok()) return status;
    remembered->set_members(result.quorum ? result.quorum->got() : 1);
    return grpc::Status::OK;
  }

  grpc::Status Ask(grpc::ServerContext*, const notes::Question* question,
                   notes::Answer* answer) override {
    const auto found = store_.Search({.query = question->text(), .limit = 1});
    if (!found.ok()) return {grpc::StatusCode::UNAVAILABLE, std::string(found.status().message())};
    if (!found->hits.empty()) answer->set_text(found->hits[0].memory.content);
    return grpc::Status::OK;
  }

 private:
  aimem::Store& store_;
};

struct Member {
  std::unique_ptr<aimem::ReplicatedStore> store;
  std::unique_ptr<NotesService> service;
  std::unique_ptr<grpc::Server> server;
};

absl::StatusOr<Member> StartMember(const std::string& file, const std::string& address,
                                   const std::vector<std::string>& peers) {
  auto backend = aimem::OpenSqliteBackend(file);
  if (!backend.ok()) return backend.status();
  // All three must hold a note before it is answered: whoever is asked knows it. The port is ours.
  aimem::ReplicationOptions options{.peers = peers, .quorum = 3, .advertise = address};
  options.quorum_timeout = absl::Seconds(20);
  options.listen.clear();
  auto store = aimem::OpenReplicatedStore(std::move(*backend), {}, options);
  if (!store.ok()) return store.status();

  Member member{.store = std::move(*store), .service = nullptr, .server = nullptr};
  member.service = std::make_unique<NotesService>(*member.store);
  grpc::ServerBuilder builder;
  // Between machines: grpc::SslServerCredentials here, and ReplicationOptions::tls above.
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(member.service.get());
  if (absl::Status status = member.store->RegisterService(builder); !status.ok()) return status;
  member.server = builder.BuildAndStart();
  if (port == 0) return absl::UnavailableError("cannot listen at " + address);
  if (absl::Status status = member.store->Start(); !status.ok()) return status;
  return member;
}

std::unique_ptr<notes::Notes::Stub> Connect(const std::string& address) {
  return notes::Notes::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  std::vector<std::string> addresses;
  for (int i = 2; i < argc; ++i) addresses.push_back(std::string("127.0.0.1:") + argv[i]);
  std::vector<Member> members;
  for (const std::string& address : addresses) {
    std::vector<std::string> peers = addresses;
    std::erase(peers, address);
    auto member = StartMember(argv[1] + ("/" + address) + ".db", address, peers);
    if (!member.ok()) {
      std::cerr << member.status() << '\n';
      return 1;
    }
    members.push_back(std::move(*member));
  }

  notes::Note note;
  note.set_title("Allergies");
  note.set_text("Mia must not eat walnuts.");
  grpc::ClientContext telling;
  notes::Remembered remembered;
  const bool told = Connect(addresses[0])->Remember(&telling, note, &remembered).ok();
  std::cout << "told the first member; " << remembered.members() << " hold it\n";
  notes::Question question;
  question.set_text("what must mia not eat?");
  grpc::ClientContext asking;
  notes::Answer answer;
  const bool asked = Connect(addresses[2])->Ask(&asking, question, &answer).ok();
  std::cout << "asked the third member: " << answer.text() << '\n';
  for (Member& member : members) {
    member.server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    if (absl::Status status = member.store->Close(); !status.ok()) std::cerr << status << '\n';
  }
  return told && asked && !answer.text().empty() ? 0 : 1;
}
