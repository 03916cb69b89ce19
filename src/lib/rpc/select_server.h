#pragma once

#include <chrono>
#include <memory>

#include "lib/net/runtime.h"
#include "lib/net/stream.h"
#include "lib/rpc/select_handler.h"

namespace vm::rpc {

struct SelectServerOptions {
  std::chrono::milliseconds handshake_timeout{5000};
  bool disable_compression = false;  // -rpc.disableCompression

  SelectServerOptions() {}
};

/// Serve one connection of the select port until the peer leaves or breaks the rules. Run it on
/// `stream->executor()`, under a TaskGroup; closing the stream ends it. `handler` is called on `pool`, whose thread
/// waits while the peer reads slowly. Both must outlive the session.
net::asio::awaitable<void> ServeSelect(std::unique_ptr<net::Stream> stream, SelectHandler& handler,
                                       net::Pool& pool, SelectServerOptions options);

}  // namespace vm::rpc
