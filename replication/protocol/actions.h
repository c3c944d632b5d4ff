// Actions: what a Member asks whoever drives it to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "aimem/changes.h"
#include "aimem/environment.h"
#include "aimem/federation.h"
#include "aimem/types.h"
#include "replication/protocol/calls.h"
#include "replication/protocol/messages.h"

namespace aimem::replication {

/// What is to be done now.
struct Actions {
  struct Send {
    std::size_t peer = 0;
    std::uint64_t call = 0;
    Lane lane = Lane::kQuorum;
    absl::Duration timeout;
    AppendRequest request;
  };
  struct ReadLog {
    std::size_t peer = 0;
    ChangeCursor cursor;
    ReadChangesLimit limit;
  };
  struct Apply {
    std::uint64_t call = 0;
    ChangePage page;
  };
  struct Reply {
    std::uint64_t call = 0;
    AppendReply reply;
  };
  /// `peer` and this member may hold two histories of `stream`, and this member's gives way: find
  /// the last commit that both hold, and yield what comes after it.
  struct Reconcile {
    std::size_t peer = 0;
    std::uint64_t incarnation = 0;  ///< Of the peer, when this was asked for.
    std::uint64_t stream = 0;
    StreamHead ours, theirs;
    VersionVector others;  ///< The streams that either holds besides.
  };
  struct Answer {
    std::uint64_t ticket = 0;
    bool committed = false;
    QuorumReport report;
  };
  struct Line {
    LogLevel level = LogLevel::kInfo;
    std::string text;
  };

  std::vector<Answer> answers;
  std::vector<Reply> replies;
  std::vector<Apply> applies;
  std::vector<Send> sends;
  std::vector<ReadLog> reads;
  std::optional<std::size_t> fetch_from;  ///< A peer: this member lacks more than its log holds.
  /// A peer names `claimed` of `stream`, which this member writes and of which it holds less, or
  /// something else: go on as a new one.
  struct Forsake {
    std::uint64_t stream = 0;
    StreamHead claimed;  ///< Without a hash: only its place is known.
  };
  std::optional<Forsake> forsake;
  std::optional<Reconcile> reconcile;
  bool compute_root = false;
  /// Equal vectors and different roots: find out where they differ.
  std::optional<std::size_t> compare_with;
  std::vector<Line> lines;
};

}  // namespace aimem::replication
