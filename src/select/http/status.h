#pragma once

#include <boost/asio/awaitable.hpp>

#include "select/http/answer.h"
#include "select/http/call.h"

namespace vm::select {

/// `/api/v1/status/active_queries` and `/api/v1/status/top_queries`, of one tenant or of all.
boost::asio::awaitable<Answer> HandleActiveQueries(Call& call);
boost::asio::awaitable<Answer> HandleTopQueries(Call& call);

}  // namespace vm::select
