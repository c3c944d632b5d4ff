// A program that remembers: open a store, put three memories into it, recall one.
//
//   example_embed_store memories.db
#include <iostream>
#include <string>

#include "aimem/backends/sqlite.h"
#include "aimem/store.h"

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "memories.db";
  auto opened = aimem::OpenSqliteStore(path);
  if (!opened.ok()) {
    std::cerr << "cannot open " << path << ": " << opened.status() << '\n';
    return 1;
  }
  aimem::Store& store = **opened;

  // One batch is one commit: all of it is durable when Write returns, or none of it is there.
  const aimem::WriteResult written = store.Write(
      {aimem::PutMemory{.namespace_ = "kitchen",
                        .title = "Oven",
                        .content = "The oven runs twenty degrees hot."},
       aimem::PutMemory{
           .namespace_ = "kitchen", .title = "Allergies", .content = "Mia must not eat walnuts."},
       aimem::PutMemory{
           .namespace_ = "garden", .title = "Roses", .content = "Cut the roses in late winter."}},
      {.agent_id = "example"});
  if (!written.durable()) {
    std::cerr << "not stored: " << written.status << '\n';
    return 1;
  }
  for (const aimem::ItemResult& item : written.items) std::cout << "stored " << item.id << '\n';

  auto found = store.Search({.query = "what must mia not eat?", .limit = 1, .touch = true});
  if (!found.ok() || found->hits.empty()) {
    std::cerr << "nothing recalled: " << found.status() << '\n';
    return 1;
  }
  std::cout << "recalled: " << found->hits[0].memory.content << '\n';

  if (absl::Status closed = store.Close(); !closed.ok()) {
    std::cerr << "closing: " << closed << '\n';
    return 1;
  }
}
