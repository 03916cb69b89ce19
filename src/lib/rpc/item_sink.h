#pragma once

#include <boost/asio/awaitable.hpp>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::rpc {

/// Takes the items of a reply as they arrive. Called on the strand of the connection, by one call at a time.
class ItemSink {
 public:
  virtual ~ItemSink() = default;

  /// `item` is valid only meanwhile. An error breaks the call off.
  virtual Status Add(ByteView item) = 0;
  /// Asked after an item: nothing more is read before WaitForRoom has ended, so that the sender has to wait, too.
  virtual bool IsFull() const { return false; }
  /// Resumes on the executor of the caller. An error breaks the call off.
  virtual boost::asio::awaitable<Status> WaitForRoom() { co_return Ok(); }
};

}  // namespace vm::rpc
