#include "select/http/query_text.h"

#include <string>

#include "lib/metricsql/ast.h"
#include "lib/metricsql/optimizer.h"
#include "select/format/json_text.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;

Result<std::string> Expand(std::string_view query) {
  auto expr = metricsql::Parse(query);
  if (!expr.ok()) return std::move(expr).error().WithContext("Cannot parse query");
  metricsql::Optimize(expr.value());
  return metricsql::ToString(*expr.value());
}

void AppendHtml(std::string& dst, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '<': dst += "&lt;"; break;
      case '>': dst += "&gt;"; break;
      case '&': dst += "&amp;"; break;
      case '"': dst += "&quot;"; break;
      default: dst += c;
    }
  }
}

std::string ExpandPage(std::string_view query) {
  std::string page =
      "<html><head><title>Expand WITH expressions</title></head><body><form method=\"get\">"
      "<p>MetricsQL query with optional WITH expressions:</p>"
      "<textarea name=\"query\" style=\"height: 15em; width: 90%\">";
  AppendHtml(page, query);
  page += "</textarea><br/><input type=\"submit\" value=\"Expand\"/>"
          "<p>The query after expanding WITH expressions and applying other optimizations:</p>"
          "<textarea style=\"height: 5em; width: 90%\" readonly=\"readonly\">";
  if (!query.empty()) {
    const auto expanded = Expand(query);
    AppendHtml(page, expanded.ok() ? expanded.value() : expanded.error().message());
  }
  return page + "</textarea></form></body></html>";
}

}  // namespace

awaitable<Answer> HandleExpandWithExprs(Call& call) {
  const auto query = call.args.Get("query");
  if (call.args.Get("format") != "json") {
    Answer answer = JsonAnswer(ExpandPage(query));
    answer.content_type = "text/html; charset=utf-8";
    co_return answer;
  }
  if (query.empty()) co_return JsonAnswer(R"({"status": "error","error": "query string cannot be empty"})");
  const auto expanded = Expand(query);
  std::string body = expanded.ok() ? R"({"status": "success","expr":)" : R"({"status": "error","error":)";
  AppendJsonString(body, expanded.ok() ? expanded.value() : expanded.error().message());
  co_return JsonAnswer(body + "}");
}

awaitable<Answer> HandlePrettifyQuery(Call& call) {
  const auto pretty = metricsql::Prettify(call.args.Get("query"));
  std::string body = pretty.ok() ? R"({"status": "success", "query": )" : R"({"status": "error", "msg": )";
  AppendJsonString(body, pretty.ok() ? pretty.value() : pretty.error().message());
  co_return JsonAnswer(body + "}");
}

}  // namespace vm::select
