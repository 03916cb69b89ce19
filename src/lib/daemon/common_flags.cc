#include "lib/daemon/common_flags.h"

#include <algorithm>

#include "lib/sys/sys.h"

namespace vm::daemon {
namespace {

using namespace std::chrono_literals;

constexpr flags::KnownFlag kCommonFlags[] = {
    {"denyQueryTracing", true},
    {"enableTCP6", true},
    {"envflag.enable", true},
    {"envflag.prefix", false},
    {"filestream.disableFadvise", true},
    {"flagsAuthKey", false},
    {"fs.disableMincore", true},
    {"fs.disableMmap", true},
    {"http.connTimeout", false},
    {"http.disableCORS", true},
    {"http.disableKeepAlive", true},
    {"http.disableResponseCompression", true},
    {"http.header.csp", false},
    {"http.header.disableServerHostname", true},
    {"http.header.frameOptions", false},
    {"http.header.hsts", false},
    {"http.idleConnTimeout", false},
    {"http.maxGracefulShutdownDuration", false},
    {"http.pathPrefix", false},
    {"http.shutdownDelay", false},
    {"httpAuth.password", false},
    {"httpAuth.username", false},
    {"httpListenAddr", false},
    {"httpListenAddr.useProxyProtocol", true},
    {"insert.maxQueueDuration", false},
    {"internStringDisableCache", true},
    {"loggerDisableTimestamps", true},
    {"loggerErrorsPerSecondLimit", false},
    {"loggerFormat", false},
    {"loggerJSONFields", false},
    {"loggerLevel", false},
    {"loggerMaxArgLen", false},
    {"loggerOutput", false},
    {"loggerTimezone", false},
    {"loggerWarnsPerSecondLimit", false},
    {"maxConcurrentInserts", false},
    {"memory.allowedBytes", false},
    {"memory.allowedPercent", false},
    {"metrics.exposeMetadata", true},
    {"metricsAuthKey", false},
    {"pprofAuthKey", false},
    {"pushmetrics.disableCompression", true},
    {"pushmetrics.extraLabel", false},
    {"pushmetrics.header", false},
    {"pushmetrics.interval", false},
    {"pushmetrics.url", false},
    {"rpc.handshakeTimeout", false},
    {"secret.flags", false},
    {"tls", true},
    {"tlsCertFile", false},
    {"tlsCipherSuites", false},
    {"tlsKeyFile", false},
    {"tlsMinVersion", false},
    {"version", true},
};

}  // namespace

CommonFlags::CommonFlags(flags::FlagSet& set) {
  http_listen_addr = set.Array("httpListenAddr", "TCP addresses to listen for HTTP requests");
  logger_level = set.String("loggerLevel", "INFO", "Minimum level of messages to log: INFO, WARN, ERROR, FATAL, PANIC");
  logger_format = set.String("loggerFormat", "default", "Format of log lines: default or json");
  logger_output = set.String("loggerOutput", "stderr", "Output of log lines: stderr or stdout");
  logger_disable_timestamps = set.Bool("loggerDisableTimestamps", false, "Whether to omit timestamps in log lines");
  version = set.Bool("version", false, "Show the version and exit");
  memory_percent = set.Float("memory.allowedPercent", 60, "Percent of system memory that caches may occupy");
  memory_bytes =
      set.Bytes("memory.allowedBytes", 0, "Bytes that caches may occupy; overrides -memory.allowedPercent");
  enable_tcp6 = set.Bool("enableTCP6", false, "Whether to listen on and dial IPv6 too");
  disable_keep_alive = set.Bool("http.disableKeepAlive", false, "Whether to close connections after each response");
  disable_cors = set.Bool("http.disableCORS", false, "Whether to send no CORS headers");
  disable_server_hostname =
      set.Bool("http.header.disableServerHostname", false, "Whether to omit the X-Server-Hostname header");
  idle_conn_timeout = set.Duration("http.idleConnTimeout", 1min, "Idle HTTP connections are closed after this");
  conn_timeout = set.Duration("http.connTimeout", 2min, "Maximum age of an HTTP connection");
  graceful_shutdown =
      set.Duration("http.maxGracefulShutdownDuration", 7s, "Time for running requests when the server stops");
  use_proxy_protocol = set.BoolArray("httpListenAddr.useProxyProtocol",
                                     "Whether the corresponding -httpListenAddr is behind the PROXY protocol, version 2");
  path_prefix = set.String("http.pathPrefix", "", "Prefix of all paths, e.g. /foo/bar behind a proxy");
  disable_compression =
      set.Bool("http.disableResponseCompression", false, "Whether to send answers without compression");
  header_hsts = set.String("http.header.hsts", "", "Value of the Strict-Transport-Security header");
  header_frame_options = set.String("http.header.frameOptions", "", "Value of the X-Frame-Options header");
  header_csp = set.String("http.header.csp", "", "Value of the Content-Security-Policy header");
  shutdown_delay = set.Duration("http.shutdownDelay", 0s,
                                "Time during which /health answers 503 before the HTTP server stops");
  tls = set.BoolArray("tls", "Whether to serve HTTPS at the corresponding -httpListenAddr");
  tls_cert_file = set.Array("tlsCertFile", "Certificate file of the corresponding -httpListenAddr; read again on changes");
  tls_key_file = set.Array("tlsKeyFile", "Key file of the corresponding -httpListenAddr; read again on changes");
  tls_min_version = set.Array("tlsMinVersion", "Oldest TLS version to accept: TLS10, TLS11, TLS12 or TLS13");
  tls_cipher_suites = set.Array("tlsCipherSuites", "TLS cipher suites to accept; the library's choice when empty");
  logger_json_fields = set.String("loggerJSONFields", "", "Other names for JSON fields, e.g. ts:time,msg:message");
  logger_time_zone = set.String("loggerTimezone", "UTC", "Time zone of log lines, e.g. Europe/Berlin or Local");
  logger_errors_per_second = set.Int("loggerErrorsPerSecondLimit", 0, "ERROR lines per second and call site; 0: all");
  logger_warns_per_second = set.Int("loggerWarnsPerSecondLimit", 0, "WARN lines per second and call site; 0: all");
  logger_max_arg_length = set.Int("loggerMaxArgLen", 5000, "Longer texts in log lines are cut in the middle");
  expose_metadata = set.Bool("metrics.exposeMetadata", false, "Whether /metrics has HELP and TYPE lines");
  push_urls = set.Array("pushmetrics.url", "URLs to push the metrics exposed at /metrics to");
  push_interval = set.Duration("pushmetrics.interval", 10s, "Interval of pushes to every -pushmetrics.url");
  push_extra_labels = set.Array("pushmetrics.extraLabel",
                                "Labels to add to pushed metrics, e.g. -pushmetrics.extraLabel='instance=\"foo\"'");
  push_headers = set.Array("pushmetrics.header",
                           "HTTP headers of pushes, e.g. -pushmetrics.header='Authorization: Basic foobar'");
  push_disable_compression =
      set.Bool("pushmetrics.disableCompression", false, "Whether to push metrics without compression");

  // Of caches that work otherwise here: checked and shown as those of the original, without an effect.
  set.Int("blockcache.missesBeforeCaching", 2, "Has no effect: caches take blocks as they come");
  set.Duration("cacheExpireDuration", 30min, "Has no effect: caches are bounded by size");
  set.Int("fs.maxConcurrency", std::min<int64_t>(16 * static_cast<int64_t>(sys::AvailableCpus()), 256),
          "Has no effect: files are read by the threads of the pools");
  set.Duration("internStringCacheExpireDuration", 6min, "Has no effect: texts are not interned");
  set.Int("internStringMaxLen", 500, "Has no effect: texts are not interned");
  set.Float("prevCacheRemovalPercent", 0.1, "Has no effect: caches are bounded by size");
}

void AcceptOtherCommonFlags(flags::FlagSet& set) { set.AcceptUndefined(kCommonFlags); }

}  // namespace vm::daemon
