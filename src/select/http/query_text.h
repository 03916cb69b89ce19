#pragma once

#include <boost/asio/awaitable.hpp>

#include "select/http/answer.h"
#include "select/http/call.h"

namespace vm::select {

/// `/select/<tenant>/prometheus/expand-with-exprs`: the query after Parse and Optimize, as a page with a form, or as JSON
/// with `format=json`. `/select/<tenant>/prometheus/prettify-query`: the query on several lines.
boost::asio::awaitable<Answer> HandleExpandWithExprs(Call& call);
boost::asio::awaitable<Answer> HandlePrettifyQuery(Call& call);

}  // namespace vm::select
