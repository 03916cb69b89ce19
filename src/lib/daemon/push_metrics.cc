#include "lib/daemon/push_metrics.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "lib/http/client.h"
#include "lib/http/gzip.h"
#include "lib/log/log.h"

namespace vm::daemon {
namespace {

namespace asio = boost::asio;

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool IsName(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || c == '.';
    if (!is_letter && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

/// `name="value"`, nothing else.
Status CheckLabel(std::string_view label) {
  const size_t equals = label.find('=');
  if (equals == std::string_view::npos) return Invalid(fmt::format("missing `=` after \"{}\"", label));
  if (!IsName(label.substr(0, equals))) return Invalid(fmt::format("invalid label name in \"{}\"", label));
  const std::string_view value = label.substr(equals + 1);
  size_t end = std::string_view::npos;
  for (size_t i = 1; i < value.size() && end == std::string_view::npos; ++i) {
    if (value[i] == '\\') {
      ++i;
    } else if (value[i] == '"') {
      end = i;
    }
  }
  if (value.empty() || value[0] != '"' || end != value.size() - 1) {
    return Invalid(fmt::format("label value must be in double quotes in \"{}\"", label));
  }
  return Ok();
}

/// The URL without its password.
std::string Redacted(std::string_view url) {
  const size_t host = url.find("://") + 3;
  const size_t end = std::min(url.find('/', host), url.size());
  const size_t at = url.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < host) return std::string(url);
  const size_t colon = url.substr(0, at).find(':', host);
  if (colon == std::string_view::npos) return std::string(url);
  return fmt::format("{}:xxxxx{}", url.substr(0, colon), url.substr(at));
}

/// One URL and its figures.
struct Target {
  Target(std::string url_in, const asio::any_io_executor& strand_in, metrics::Registry& registry)
      : url(std::move(url_in)),
        shown_url(Redacted(url)),
        strand(strand_in),
        timer(strand),
        pushes(registry.GetCounter(Name("metrics_push_total"))),
        bytes(registry.GetCounter(Name("metrics_push_bytes_pushed_total"))),
        errors(registry.GetCounter(Name("metrics_push_errors_total"))),
        block_size(registry.GetHistogram(Name("metrics_push_block_size_bytes"))),
        duration(registry.GetHistogram(Name("metrics_push_duration_seconds"))) {}

  std::string Name(std::string_view name) const { return fmt::format("{}{{url=\"{}\"}}", name, shown_url); }

  const std::string url;
  const std::string shown_url;
  const asio::any_io_executor strand;
  asio::steady_timer timer;  // Strand only; cancelled to stop.
  metrics::Counter& pushes;
  metrics::Counter& bytes;
  metrics::Counter& errors;
  metrics::Histogram& block_size;
  metrics::Histogram& duration;
};

}  // namespace

struct MetricsPusher::Impl : std::enable_shared_from_this<MetricsPusher::Impl> {
  Impl(PushOptions options_in, std::function<std::string()> write_in)
      : options(std::move(options_in)), write(std::move(write_in)), tasks("pushmetrics") {}

  asio::awaitable<void> Run(std::shared_ptr<Target> target);
  asio::awaitable<void> Push(Target& target);

  const PushOptions options;
  const std::function<std::string()> write;
  std::string extra_labels;
  http::Headers headers;
  std::vector<std::shared_ptr<Target>> targets;
  std::atomic<bool> stopping{false};
  net::TaskGroup tasks;
};

asio::awaitable<void> MetricsPusher::Impl::Run(std::shared_ptr<Target> target) {
  const auto self = shared_from_this();
  auto next = std::chrono::steady_clock::now();
  while (!stopping) {
    next = std::max(next + options.interval, std::chrono::steady_clock::now());
    target->timer.expires_at(next);
    co_await target->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (stopping) co_return;
    co_await Push(*target);
  }
}

asio::awaitable<void> MetricsPusher::Impl::Push(Target& target) {
  std::string body = write();
  if (!extra_labels.empty()) body = AddPushLabels(body, extra_labels);
  if (!options.disable_compression) body = http::Gzip(body);
  target.pushes.Inc();
  target.bytes.Add(body.size());
  target.block_size.Update(static_cast<double>(body.size()));

  const auto start = std::chrono::steady_clock::now();
  const auto timeout = options.interval + std::chrono::seconds(1);
  const Result<http::ClientResponse> response =
      co_await http::Fetch("GET", target.url, headers, std::move(body), timeout);
  target.duration.Update(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (!response.ok()) {
    if (stopping) co_return;
    target.errors.Inc();
    VM_LOG_ERROR("cannot push metrics to \"{}\": {}", target.shown_url, response.error().message());
  } else if (response.value().status / 100 != 2) {
    target.errors.Inc();
    VM_LOG_ERROR("unexpected status code in response from \"{}\": {}; expecting 2xx; response body: \"{}\"",
                 target.shown_url, response.value().status, response.value().body);
  }
}

Result<std::unique_ptr<MetricsPusher>> MetricsPusher::Start(net::Runtime& runtime, PushOptions options,
                                                            metrics::Registry& registry,
                                                            std::function<std::string()> write) {
  if (options.interval.count() <= 0) {
    return Invalid(fmt::format("interval must be positive; got {}ms", options.interval.count()));
  }
  auto impl = std::make_shared<Impl>(std::move(options), std::move(write));
  for (const std::string& label : impl->options.extra_labels) {
    if (Status status = CheckLabel(label); !status.ok()) return std::move(status).error();
    if (!impl->extra_labels.empty()) impl->extra_labels += ',';
    impl->extra_labels += label;
  }
  impl->headers.Add("Content-Type", "text/plain");
  for (const std::string& header : impl->options.headers) {
    const size_t colon = header.find(':');
    if (colon == std::string::npos) return Invalid(fmt::format("missing `:` delimiter in the header \"{}\"", header));
    impl->headers.Set(Trim(std::string_view(header).substr(0, colon)), Trim(std::string_view(header).substr(colon + 1)));
  }
  if (!impl->options.disable_compression) impl->headers.Set("Content-Encoding", "gzip");
  for (const std::string& url : impl->options.urls) {
    if (url.empty()) continue;
    if (!url.starts_with("http://") && !url.starts_with("https://")) {
      return Invalid(fmt::format("unsupported scheme in pushURL=\"{}\"; expecting 'http' or 'https'", Redacted(url)));
    }
    impl->targets.push_back(std::make_shared<Target>(url, runtime.MakeStrand(), registry));
    registry.GetGauge(impl->targets.back()->Name("metrics_push_interval_seconds"))
        .Set(std::chrono::duration<double>(impl->options.interval).count());
  }
  for (const auto& target : impl->targets) impl->tasks.Spawn(target->strand, impl->Run(target));
  return std::unique_ptr<MetricsPusher>(new MetricsPusher(std::move(impl)));
}

MetricsPusher::MetricsPusher(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

MetricsPusher::~MetricsPusher() { Stop(); }

void MetricsPusher::Stop() {
  if (impl_->stopping.exchange(true)) return;
  for (const auto& target : impl_->targets) asio::post(target->strand, [target] { target->timer.cancel(); });
  // A push that is under way is not waited for longer than this: it ends with the runtime.
  impl_->tasks.WaitFor(std::chrono::seconds(1));
}

std::string AddPushLabels(std::string_view text, std::string_view extra_labels) {
  std::string out;
  out.reserve(text.size() * 2);
  while (!text.empty()) {
    const size_t newline = text.find('\n');
    const std::string_view line = Trim(text.substr(0, newline));
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.empty()) continue;
    const size_t brace = line.find('{');
    const size_t blank = line.rfind(' ');
    if (line.front() == '#' || (brace == std::string_view::npos && blank == std::string_view::npos)) {
      out += line;
    } else if (brace != std::string_view::npos) {
      out.append(line.substr(0, brace + 1)).append(extra_labels).append(",").append(line.substr(brace + 1));
    } else {
      out.append(line.substr(0, blank)).append("{").append(extra_labels).append("}").append(line.substr(blank));
    }
    out += '\n';
  }
  return out;
}

}  // namespace vm::daemon
