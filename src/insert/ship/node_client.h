#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::insert {

enum class SendOutcome : uint8_t {
  kAccepted,
  kReadOnly,     // The node keeps its connection and wants no rows now.
  kDropped,      // The node is too old for this kind of rows: they are gone, the connection is fine.
  kUnsupported,  // The node refused the call; it is not dialed again for a while.
  kBroken,       // The connection is of no use any more.
};

struct ConnectOutcome {
  Status status = Ok();
  bool is_dialed = true;  // False: there was not even a connection.
};

/// One connection to a storage node that is opened and closed as the Shipper says. Calls do not overlap.
/// A seam: tests put their own behind it.
class NodeClient {
 public:
  virtual ~NodeClient() = default;

  /// Dial and shake hands. Requires !connected().
  virtual boost::asio::awaitable<ConnectOutcome> Connect() = 0;
  /// Send encoded rows and wait for the answer; no rows at all ask for the state of the node.
  /// Requires connected(). `rows` must stay until the answer is there.
  virtual boost::asio::awaitable<SendOutcome> Send(ByteView rows) = 0;
  /// Why the last Send was kBroken.
  virtual std::string BrokenReason() const { return "the connection broke"; }
  virtual void Close() = 0;
  virtual bool connected() const = 0;
};

}  // namespace vm::insert
