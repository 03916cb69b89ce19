#pragma once

#include <boost/asio/awaitable.hpp>
#include <stop_token>
#include <string>

#include "lib/http/message.h"

namespace vm::select {

/// Send `request` on to the server at `base_url`, with `path` behind its path, and the answer back while it comes. On the
/// strand of the connection. Without an answer of that server the client gets 502. `url_args` are those of the URL alone.
/// Reference: VictoriaMetrics lib/vmalertproxy.
boost::asio::awaitable<void> Proxy(std::string base_url, std::string path, http::Request& request, const http::Args& url_args,
                                   http::Response& response, std::stop_token stop);

}  // namespace vm::select
