// Batches that many tests write.
#pragma once

#include <string>
#include <utility>

#include "aimem/write_batch.h"

namespace aimem::testing {

/// A memory that stays.
inline WriteBatch OnePut(std::string title, std::string content = "content") {
  PutMemory put;
  put.title = std::move(title);
  put.content = std::move(content);
  put.tier = Tier::kLong;
  WriteBatch batch;
  batch.items.emplace_back(std::move(put));
  return batch;
}

}  // namespace aimem::testing
