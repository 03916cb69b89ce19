#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/flags/flags.h"

namespace vm::daemon {

/// The flags that all daemons share. Constructed before parsing; read afterwards.
struct CommonFlags {
  explicit CommonFlags(flags::FlagSet& set);

  const std::vector<std::string>* http_listen_addr;
  const std::vector<bool>* use_proxy_protocol;
  const std::string* path_prefix;
  const bool* enable_tcp6;
  const bool* disable_keep_alive;
  const bool* disable_compression;
  const bool* disable_cors;
  const bool* disable_server_hostname;
  const std::string* header_hsts;
  const std::string* header_frame_options;
  const std::string* header_csp;
  const std::chrono::nanoseconds* idle_conn_timeout;
  const std::chrono::nanoseconds* conn_timeout;
  const std::chrono::nanoseconds* graceful_shutdown;
  const std::chrono::nanoseconds* shutdown_delay;

  const std::vector<bool>* tls;
  const std::vector<std::string>* tls_cert_file;
  const std::vector<std::string>* tls_key_file;
  const std::vector<std::string>* tls_min_version;
  const std::vector<std::string>* tls_cipher_suites;

  const std::string* logger_level;
  const std::string* logger_format;
  const std::string* logger_json_fields;
  const std::string* logger_output;
  const std::string* logger_time_zone;
  const bool* logger_disable_timestamps;
  const int64_t* logger_errors_per_second;
  const int64_t* logger_warns_per_second;
  const int64_t* logger_max_arg_length;

  const bool* version;
  const double* memory_percent;
  const int64_t* memory_bytes;
  const bool* expose_metadata;

  const std::vector<std::string>* push_urls;
  const std::chrono::nanoseconds* push_interval;
  const std::vector<std::string>* push_extra_labels;
  const std::vector<std::string>* push_headers;
  const bool* push_disable_compression;
};

/// Take those common flags of the reference v1.150.0 that neither CommonFlags nor the daemon has defined;
/// they mean nothing here yet. Call it after all definitions.
void AcceptOtherCommonFlags(flags::FlagSet& set);

}  // namespace vm::daemon
