#pragma once

#include <memory>

#include "lib/net/stream.h"

namespace vm::net {

/// Take the header of the PROXY protocol, version 2, off the front of `stream`: afterwards `remote_addr` is that of the client behind the
/// proxy. Set a deadline on `stream` before. Errors: kInvalidInput for another header, kUnavailable.
asio::awaitable<Result<std::unique_ptr<Stream>>> AcceptProxyHeader(std::unique_ptr<Stream> stream);

}  // namespace vm::net
