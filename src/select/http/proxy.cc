#include "select/http/proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/http/client.h"
#include "lib/log/log.h"
#include "select/http/request_log.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;

constexpr size_t kMaxBodySize = 10 << 20;
constexpr auto kTimeout = std::chrono::minutes(5);

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

/// Headers that concern one connection only, and those that either side writes itself.
bool IsPassedOn(std::string_view name, std::string_view connection) {
  constexpr std::array kOwn = {"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te",
                               "Trailer", "Transfer-Encoding", "Upgrade", "Host", "Content-Length"};
  if (std::any_of(kOwn.begin(), kOwn.end(), [&](const char* own) { return SameName(name, own); })) return false;
  // Connection names more of them.
  while (!connection.empty()) {
    std::string_view item = connection.substr(0, connection.find(','));
    connection.remove_prefix(std::min(connection.size(), item.size() + 1));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (SameName(name, item)) return false;
  }
  return true;
}

http::Headers HeadersFor(const http::Request& request) {
  http::Headers headers;
  std::string forwarded;
  for (const auto& [name, value] : request.headers.all()) {
    if (!IsPassedOn(name, request.headers.Get("Connection"))) continue;
    if (SameName(name, "X-Forwarded-For")) forwarded.append(forwarded.empty() ? "" : ", ").append(value);
    else headers.Add(name, value);
  }
  const std::string ip = request.remote_addr.substr(0, request.remote_addr.rfind(':'));
  headers.Add("X-Forwarded-For", forwarded.empty() ? ip : forwarded + ", " + ip);
  return headers;
}

std::string EscapePath(std::string_view path) {
  std::string escaped;
  for (const char c : path) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("/-_.~$&+,:;=@!'()*").find(c) != std::string_view::npos;
    if (is_plain) escaped += c;
    else escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return escaped;
}

std::string EncodeArgs(std::vector<std::pair<std::string, std::string>> args) {
  std::string text;
  for (const auto& [name, value] : args) {
    if (!text.empty()) text += '&';
    text += http::EscapeQuery(name) + '=' + http::EscapeQuery(value);
  }
  return text;
}

std::string QueryFor(const http::Request& request, const http::Args& url_args) {
  if (!request.headers.Get("User-Agent").starts_with("Grafana")) return request.raw_query;
  // Grafana does not understand alerts of other kinds.
  auto args = url_args.all();
  std::erase_if(args, [](const auto& arg) { return arg.first == "datasource_type"; });
  args.emplace_back("datasource_type", "prometheus");
  std::stable_sort(args.begin(), args.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return EncodeArgs(std::move(args));
}

std::string UrlFor(std::string_view base_url, std::string_view path, const std::string& query) {
  base_url = base_url.substr(0, base_url.find('#'));
  const size_t mark = base_url.find('?');
  const std::string_view base_query = mark == base_url.npos ? std::string_view() : base_url.substr(mark + 1);
  base_url = base_url.substr(0, mark);
  while (base_url.ends_with('/')) base_url.remove_suffix(1);
  std::string url = std::string(base_url) + EscapePath(path);
  if (!base_query.empty() || !query.empty()) url += '?';
  url += base_query;
  if (!base_query.empty() && !query.empty()) url += '&';
  return url + query;
}

/// The body; that of a form has been read already and stands in front of the arguments of the URL.
awaitable<Result<std::string>> BodyOf(http::Request& request, const http::Args& url_args) {
  VM_CO_ASSIGN_OR_RETURN(const ByteBuffer bytes, co_await request.ReadAll(kMaxBodySize));
  if (!bytes.empty()) co_return std::string(AsText(bytes));
  auto args = request.query.all();
  args.resize(args.size() - std::min(args.size(), url_args.all().size()));
  co_return EncodeArgs(std::move(args));
}

class ToClient : public http::AnswerSink {
 public:
  explicit ToClient(http::Response& response) : response_(response) {}

  awaitable<Status> TakeHeader(int status, const http::Headers& headers) override {
    has_answer_ = true;
    response_.SetStatus(status);
    for (const auto& [name, value] : headers.all()) {
      if (IsPassedOn(name, headers.Get("Connection"))) response_.SetHeader(name, value);
    }
    co_return Ok();
  }
  awaitable<Status> TakeBody(std::string_view piece) override { co_return co_await response_.Write(piece); }
  bool has_answer() const noexcept { return has_answer_; }

 private:
  http::Response& response_;
  bool has_answer_ = false;
};

}  // namespace

awaitable<void> Proxy(std::string base_url, std::string path, http::Request& request, const http::Args& url_args, http::Response& response,
                      std::stop_token stop) {
  auto body = co_await BodyOf(request, url_args);
  if (!body.ok()) {
    co_await http::WriteError(response, 400, body.error().message());
    co_return;
  }
  ToClient to_client(response);
  http::Headers headers = HeadersFor(request);
  std::string url = UrlFor(base_url, path, QueryFor(request, url_args));
  const Deadline deadline = Deadline::After(kTimeout, stop);
  auto done = co_await http::FetchTo(request.method, url, std::move(headers), std::move(body).value(), deadline, to_client);
  if (done.ok() || stop.stop_requested()) co_return;
  // The URL may hold a secret.
  std::string reason = done.error().message();
  if (const size_t at = reason.find(url); at != reason.npos) reason.replace(at, url.size(), "the server");
  LogRequestError(request, url_args, "cannot proxy the request to -vmalert.proxyURL: " + reason);
  std::string message = "cannot get an answer from the server at -vmalert.proxyURL; see the log of vmselect";
  if (to_client.has_answer()) co_await response.Abort(std::move(message));
  else co_await http::WriteError(response, 502, std::move(message));
}

}  // namespace vm::select
