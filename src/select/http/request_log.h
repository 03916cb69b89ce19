#pragma once

#include <string>
#include <string_view>

#include "lib/http/message.h"

namespace vm::select {

/// `ip:port`, followed by the X-Forwarded-For header if there is one.
std::string RemoteAddr(const http::Request& request);
/// The same as a JSON string: it may hold anything.
std::string QuotedRemoteAddr(const http::Request& request);
/// The request line's target; for POST followed by the arguments of the body, `authKey` hidden.
std::string RequestUri(const http::Request& request, const http::Args& url_args);
/// Tell the log why a request failed.
void LogRequestError(const http::Request& request, const http::Args& url_args, std::string_view message);

}  // namespace vm::select
