#pragma once

#include <boost/asio/awaitable.hpp>

#include "select/http/answer.h"
#include "select/http/call.h"

namespace vm::select {

/// `/api/v1/query`: an expression at one time. A selector with a window alone gives its raw samples, another
/// expression with a window a range query.
boost::asio::awaitable<Answer> HandleQuery(Call& call);
/// `/api/v1/query_range`.
boost::asio::awaitable<Answer> HandleQueryRange(Call& call);

}  // namespace vm::select
