#include "insert/listen/opentsdb_http.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "insert/http/path.h"
#include "lib/log/log.h"

namespace vm::insert {

namespace asio = boost::asio;

OpentsdbHttpHandler::OpentsdbHttpHandler(Ingester& ingester, metrics::Registry& registry)
    : ingester_(ingester),
      requests_(registry.GetCounter("vm_ingestserver_requests_total{type=\"opentsdbhttp\", name=\"write\", net=\"tcp\"}")),
      errors_(registry.GetCounter(
          "vm_ingestserver_request_errors_total{type=\"opentsdbhttp\", name=\"write\", net=\"tcp\"}")) {}

asio::awaitable<void> OpentsdbHttpHandler::Handle(http::Request& request, http::Response& response) {
  requests_.Inc();
  const Status status = co_await Insert(request);
  if (status.ok()) {
    response.SetStatus(204);
    co_return;
  }
  errors_.Inc();
  std::string message = status.error().message();
  VM_LOG_WARN("{}; {}", http::DescribeRequest(request), message);
  const ErrorCode reason = status.error().code();
  const int code = reason == ErrorCode::kUnavailable || reason == ErrorCode::kIo ? 503 : 400;
  co_await http::WriteError(response, code, std::move(message));
}

asio::awaitable<Status> OpentsdbHttpHandler::Insert(http::Request& request) {
  Result<InsertPath> path = ParseInsertPath(request.path, false, "", "");
  if (!path.ok()) {
    co_return std::move(path).error().WithContext(fmt::format("cannot parse path \"{}\"", request.path));
  }
  const Error unexpected(ErrorCode::kInvalidInput,
                         fmt::format("unexpected path requested on HTTP OpenTSDB server: \"{}\"", request.path));
  if (path.value().prefix != "insert") co_return unexpected;
  VM_CO_ASSIGN_OR_RETURN(const std::optional<model::Tenant> tenant, ParseTenant(path.value().tenant));
  const std::string& suffix = path.value().suffix;
  if (suffix != "api/put" && suffix != "opentsdb/api/put") co_return unexpected;
  IngestContext context = ingester_.MakeContext(tenant);
  std::vector<std::string> args;
  for (const std::string_view arg : request.query.GetAll("extra_label")) args.emplace_back(arg);
  VM_CO_ASSIGN_OR_RETURN(context.extra_labels, ParseExtraLabels(request.path, args));

  const InsertOptions& options = ingester_.options();
  ByteSource source = [&request](std::span<uint8_t> dst) { return request.ReadBody(dst); };
  WholeFormat format;
  format.limit = SizeLimit{options.max_opentsdb_request_bytes, "opentsdbhttp.maxInsertRequestSize"};
  format.parse = [this, &options, &context](ByteView body, IngestOutput& output) {
    return IngestOpentsdbPut(AsText(body), options.opentsdb_http_trim_ms, ingester_.NowMs(), context, output);
  };
  std::string encoding(request.headers.Get("Content-Encoding"));
  std::string who = http::DescribeRequest(request);
  Status status = co_await ingester_.InsertWhole(std::move(source), std::move(encoding), BodyKind::kOpentsdbHttp,
                                                 std::move(who), std::move(format));
  if (status.ok() || status.error().code() == ErrorCode::kUnavailable) co_return status;
  co_return std::move(status).error().WithContext("cannot decode opentsdb data");
}

}  // namespace vm::insert
