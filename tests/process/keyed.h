// One idempotency key from several processes: one effect, one answer. For any store.
#pragma once

#include <string>

namespace aimem::process {

/// Two processes send the same keys at the same time.
void CheckKeysSentByTwoAtOnce(const std::string& url);

/// A process that is killed on the way, again and again, each time replaced by one that sends all
/// keys from the first.
void CheckKeysSentAgainAfterKills(const std::string& url);

/// Processes that make the same new store at once: all succeed, and share one history.
void CheckCreatedByManyAtOnce(const std::string& url);

}  // namespace aimem::process
