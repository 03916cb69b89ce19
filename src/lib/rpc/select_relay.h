#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/search_query.h"
#include "lib/rpc/select_codec.h"

namespace vm::rpc {

/// How a peer wants its call to be answered.
struct RelayCall {
  Deadline deadline;            // Its stop tells that the peer is gone or the server stops.
  std::string* steps = nullptr;  // Where the steps of the trace go, as JSON: "[{...}]". Null: no trace.
};

/// Takes the blocks of a search on their way to the peer.
class RelayedBlocks {
 public:
  virtual ~RelayedBlocks() = default;
  /// `metric_block` is a marshalled MetricBlock and valid only meanwhile.
  virtual void Add(ByteView metric_block) = 0;
  /// Send what was added, as slowly as the peer reads. An error ends the search.
  virtual boost::asio::awaitable<Status> Send() = 0;
};

/// Answers the calls of a select server by asking others. Calls run on the strands of the connections, many at a time;
/// they compute and wait for peers, but hold no thread meanwhile. Error messages are sent to the peer as they are.
class SelectRelay {
 public:
  virtual ~SelectRelay() = default;

  /// Give all blocks to `blocks`. An error after the first Send breaks the connection: there is no other way to tell.
  virtual boost::asio::awaitable<Status> Search(model::SearchQuery query, RelayCall call, RelayedBlocks& blocks) = 0;
  /// Any call but a search. Puts items or the number into `reply`.
  virtual boost::asio::awaitable<Status> Answer(SelectArgs args, RelayCall call, SelectReply& reply) = 0;
};

}  // namespace vm::rpc
