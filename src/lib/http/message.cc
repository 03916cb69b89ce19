#include "lib/http/message.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>

namespace vm::http {
namespace {

constexpr size_t kMaxFormSize = 10 << 20;

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

/// Arguments of a multipart/form-data body; files count as values.
Args ParseMultipart(std::string_view body, std::string_view boundary) {
  Args args;
  const std::string delimiter = "--" + std::string(boundary);
  size_t at = body.find(delimiter);
  while (at != std::string_view::npos) {
    size_t start = at + delimiter.size();
    if (body.substr(start, 2) == "--") break;
    start = body.find("\r\n\r\n", start);
    if (start == std::string_view::npos) break;
    const std::string_view head = body.substr(at, start - at);
    start += 4;
    const size_t end = body.find("\r\n" + delimiter, start);
    if (end == std::string_view::npos) break;
    const size_t name = head.find(" name=\"");
    if (name != std::string_view::npos) {
      const size_t name_end = head.find('"', name + 7);
      if (name_end != std::string_view::npos) {
        args.Add(std::string(head.substr(name + 7, name_end - name - 7)),
                 std::string(body.substr(start, end - start)));
      }
    }
    at = end + 2;
  }
  return args;
}

}  // namespace

std::string_view Headers::Get(std::string_view name) const {
  for (const auto& [key, value] : items_) {
    if (SameName(key, name)) return value;
  }
  return {};
}

void Headers::Set(std::string_view name, std::string_view value) {
  for (auto& [key, old] : items_) {
    if (SameName(key, name)) {
      old = value;
      return;
    }
  }
  Add(name, value);
}

void Headers::Add(std::string_view name, std::string_view value) {
  items_.emplace_back(name, value);
}

void Headers::Remove(std::string_view name) {
  std::erase_if(items_, [name](const auto& item) { return SameName(item.first, name); });
}

asio::awaitable<Result<ByteBuffer>> Request::ReadAll(size_t max_size) {
  ByteBuffer body;
  size_t used = 0;
  for (;;) {
    // Grows with what arrives: an announced length is a claim.
    if (used == body.size()) body.resize(used + std::clamp<size_t>(used, 16 * 1024, 1 << 20));
    auto n = co_await ReadBody(std::span<uint8_t>(body).subspan(used));
    if (!n.ok()) co_return std::move(n).error();
    used += n.value();
    if (used > max_size) {
      co_return Error(ErrorCode::kLimitExceeded,
                      fmt::format("too big request body; it must not exceed {} bytes", max_size));
    }
    if (n.value() == 0) {
      body.resize(used);
      co_return std::move(body);
    }
  }
}

asio::awaitable<Status> Request::ReadForm() {
  if (method != "POST" && method != "PUT" && method != "PATCH") co_return Ok();
  const std::string type(headers.Get("Content-Type"));
  const std::string media = type.substr(0, type.find(';'));
  const bool urlencoded = SameName(media, "application/x-www-form-urlencoded");
  const bool multipart = SameName(media, "multipart/form-data");
  if (!urlencoded && !multipart) co_return Ok();
  auto body = co_await ReadAll(kMaxFormSize);
  if (!body.ok()) co_return std::move(body).error();
  const std::string_view text = AsText(body.value());
  if (urlencoded) {
    query.Prepend(ParseQuery(text));
    co_return Ok();
  }
  const size_t at = type.find("boundary=");
  if (at == std::string::npos) {
    co_return Error(ErrorCode::kInvalidInput, "no multipart boundary param in Content-Type");
  }
  std::string boundary = type.substr(at + 9);
  boundary = boundary.substr(0, boundary.find(';'));
  if (boundary.size() >= 2 && boundary.front() == '"' && boundary.back() == '"') {
    boundary = boundary.substr(1, boundary.size() - 2);
  }
  query.Prepend(ParseMultipart(text, boundary));
  co_return Ok();
}

std::string DescribeRequest(const Request& request) {
  std::string addr = request.remote_addr;
  if (const std::string_view forwarded = request.headers.Get("X-Forwarded-For"); !forwarded.empty()) {
    addr.append(", X-Forwarded-For: ").append(forwarded);
  }
  // Both may hold what a stranger has sent.
  std::string quoted;
  for (const char c : addr) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  std::string uri = request.target;
  constexpr std::string_view kKey = "authKey=";
  for (size_t at = uri.find(kKey); at != std::string::npos; at = uri.find(kKey, at + kKey.size())) {
    const size_t start = at + kKey.size();
    uri.replace(start, std::min(uri.find('&', start), uri.size()) - start, "secret");
  }
  return fmt::format("remoteAddr: \"{}\"; requestURI: {}", quoted, uri);
}

asio::awaitable<void> WriteError(Response& response, int status, std::string message) {
  response.SetHeader("X-Content-Type-Options", "nosniff");
  message += '\n';
  co_await WriteText(response, status, "text/plain; charset=utf-8", std::move(message));
}

asio::awaitable<void> WriteText(Response& response, int status, std::string content_type,
                                std::string body) {
  response.SetStatus(status);
  response.SetHeader("Content-Type", content_type);
  auto written = co_await response.Write(body);
  if (!written.ok()) co_return;
  auto finished = co_await response.Finish();
  static_cast<void>(finished);
}

}  // namespace vm::http
