// Node::Work: what keeps a Node open while something that refers to it runs elsewhere.
#pragma once

#include <utility>

#include "replication/node/node.h"

namespace aimem::replication {

/// One reference to the node by work that runs elsewhere; Close waits for all of them.
class Node::Work {
 public:
  explicit Work(Node* node) : node_(node) {}  // counted by the maker, under the lock
  Work(Work&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  Work& operator=(Work&&) = delete;
  ~Work() {
    if (node_ == nullptr) return;
    MutexLock lock(node_->mutex_);
    if (--node_->work_ == 0) node_->idle_.NotifyAll();
  }

 private:
  Node* node_;
};

}  // namespace aimem::replication
