#pragma once

#include <boost/asio/awaitable.hpp>

#include "select/http/answer.h"
#include "select/http/call.h"

// The Graphite API below `/select/<tenant>/graphite/`. Errors are plain text with 400.
namespace vm::select {

/// `metrics/find`, `metrics/expand`, `metrics/index.json`.
boost::asio::awaitable<Answer> HandleGraphiteFind(Call& call);
boost::asio::awaitable<Answer> HandleGraphiteExpand(Call& call);
boost::asio::awaitable<Answer> HandleGraphiteIndex(Call& call);

/// `render`: the functions of select/graphite over what nodes have.
boost::asio::awaitable<Answer> HandleGraphiteRender(Call& call);

/// `functions`, `functions/<name>`.
boost::asio::awaitable<Answer> HandleGraphiteFunctions(Call& call);

/// `tags`, `tags/<name>`, `tags/findSeries`, `tags/autoComplete/tags`, `tags/autoComplete/values`, `tags/delSeries`.
boost::asio::awaitable<Answer> HandleGraphiteTags(Call& call);
boost::asio::awaitable<Answer> HandleGraphiteTagValues(Call& call);
boost::asio::awaitable<Answer> HandleGraphiteFindSeries(Call& call);
boost::asio::awaitable<Answer> HandleGraphiteCompleteTags(Call& call);
boost::asio::awaitable<Answer> HandleGraphiteCompleteValues(Call& call);
boost::asio::awaitable<Answer> HandleGraphiteDeleteSeries(Call& call);

}  // namespace vm::select
