#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "select/http/answer.h"
#include "select/http/call.h"

namespace vm::select {

/// `/api/v1/labels`, `/api/v1/label/<name>/values`, `/api/v1/series`, `/api/v1/series/count`, `/api/v1/metadata`.
boost::asio::awaitable<Answer> HandleLabels(Call& call);
boost::asio::awaitable<Answer> HandleLabelValues(Call& call);
boost::asio::awaitable<Answer> HandleSeries(Call& call);
boost::asio::awaitable<Answer> HandleSeriesCount(Call& call);
boost::asio::awaitable<Answer> HandleMetadata(Call& call);

/// Undo Prometheus' escaping of UTF-8 names in URLs: `U__a_2e_b` is `a.b`. Other names, and those that are not
/// escaped well, stay as they are.
std::string UnescapeLabelName(std::string_view name);

}  // namespace vm::select
