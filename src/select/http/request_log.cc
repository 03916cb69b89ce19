#include "select/http/request_log.h"

#include "lib/http/args.h"
#include "lib/log/log.h"
#include "select/format/json_text.h"

namespace vm::select {

std::string RemoteAddr(const http::Request& request) {
  std::string addr = request.remote_addr;
  const auto forwarded = request.headers.Get("X-Forwarded-For");
  if (!forwarded.empty()) addr.append(", X-Forwarded-For: ").append(forwarded);
  return addr;
}

std::string QuotedRemoteAddr(const http::Request& request) {
  std::string quoted;
  AppendJsonString(quoted, RemoteAddr(request));
  return quoted;
}

std::string RequestUri(const http::Request& request, const http::Args& url_args) {
  std::string uri = request.target;
  if (request.method != "POST") return uri;
  // Arguments of the body stand before those of the URL.
  const auto& all = request.query.all();
  const size_t count = all.size() - url_args.all().size();
  char separator = uri.find('?') == uri.npos ? '?' : '&';
  for (size_t i = 0; i < count; ++i) {
    const auto& [name, value] = all[i];
    uri += separator + http::EscapeQuery(name) + '=' + (name == "authKey" ? "secret" : http::EscapeQuery(value));
    separator = '&';
  }
  return uri;
}

void LogRequestError(const http::Request& request, const http::Args& url_args, std::string_view message) {
  VM_LOG_WARN("remoteAddr: {}; requestURI: {}; {}", QuotedRemoteAddr(request), RequestUri(request, url_args), message);
}

}  // namespace vm::select
