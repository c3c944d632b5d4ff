// How a store takes part in a federation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace aimem {

/// Files in PEM form. The same certificate is shown to peers as server and as client. They are read
/// again every minute: what is good is used for new connections, what is not is logged.
struct TlsFiles {
  std::string ca = {};           ///< Who signs the certificates of this federation.
  std::string certificate = {};  ///< With a URI name aimem://static/NAME (`aimem cert issue`).
  std::string key = {};
};

/// How a member takes part. Every default is the safe choice.
struct ReplicationOptions {
  // -- Who ----------------------------------------------------------------------------------------
  /// The other members: "host:port", grpc://host:port or grpcs://host:port of their replication,
  /// or http://host:port of their HTTP (replication is then at port + 1000). Their number and this
  /// member make N. An address that stands here twice, or is `listen`, is refused.
  std::vector<std::string> peers = {};
  /// W: members that must hold a write, this one included, before it is answered as committed.
  /// In [1, N]. Default: a majority, N / 2 + 1.
  std::optional<int> quorum = {};

  // -- How long -----------------------------------------------------------------------------------
  /// Bounds the answer to a write, never its delivery. In [1 ms, 10 min]. Default 2 s.
  absl::Duration quorum_timeout = absl::Seconds(2);
  /// Bounds one call to a peer, answered or not. In [1 s, 10 min]. Default 30 s.
  absl::Duration call_timeout = absl::Seconds(30);
  /// How long Close() lets calls in flight end by themselves. In [0, 10 min]. Default 30 s.
  absl::Duration shutdown_grace = absl::Seconds(30);
  /// A member whose wall clock is further ahead of the median of those reachable executes no
  /// writes. In [1 s, 24 h]. Default 60 s.
  absl::Duration max_clock_ahead = absl::Seconds(60);

  // -- How much -----------------------------------------------------------------------------------
  /// Callers that may wait for their quorum at once; over it: kResourceExhausted, before anything
  /// is written. In [1, 1,000,000]. Default 10,000.
  std::int64_t waiting_max = 10'000;
  /// Calls in flight to one peer. In [1, 256]. Default 2.
  int calls_in_flight_max = 2;
  /// Recent commits kept in memory for peers that keep up; the log has the others. In
  /// [1 MiB, 1 GiB]. Default 16 MiB.
  std::int64_t window_bytes_max = 16 << 20;

  // -- Where --------------------------------------------------------------------------------------
  /// Address of a server of its own, port 0: any free one. Empty: the host lends a
  /// grpc::ServerBuilder to RegisterService.
  std::string listen = "127.0.0.1:0";
  /// What peers are told to fetch from; empty: `listen` with the port that was bound.
  std::string advertise = {};
  /// None: plaintext, on loopback only unless `insecure`.
  std::optional<TlsFiles> tls = {};
  bool insecure = false;
};

}  // namespace aimem
