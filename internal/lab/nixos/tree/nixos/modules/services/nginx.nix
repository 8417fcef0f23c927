{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption mkEnableOption types;
  cfg = config.services.nginx;
  lines = description: mkOption { type = types.lines; default = ""; inherit description; };

  locationModule = {
    options = {
      root = mkOption { type = types.nullOr types.path; default = null; description = "The folder of the files."; };
      alias = mkOption { type = types.nullOr types.path; default = null; description = "The folder that stands for the location."; };
      index = mkOption { type = types.nullOr types.str; default = null; description = "The file of a folder."; };
      tryFiles = mkOption { type = types.nullOr types.str; default = null; description = "Files tried in order."; };
      return = mkOption { type = types.nullOr (types.oneOf [ types.str types.int ]); default = null; description = "A status, with a text or address."; };
      proxyPass = mkOption { type = types.nullOr types.str; default = null; description = "A server that answers."; };
      proxyWebsockets = mkOption { type = types.bool; default = false; description = "Whether websockets pass."; };
      recommendedProxySettings = mkOption { type = types.bool; default = cfg.recommendedProxySettings; description = "Whether usual headers are passed on."; };
      extraConfig = lines "Text added to the location.";
      priority = mkOption { type = types.int; default = 1000; description = "The order of locations."; };
    };
  };
  hostModule = { name, ... }: {
    options = {
      serverName = mkOption { type = types.nullOr types.str; default = null; description = "The name; the attribute's by default."; };
      serverAliases = mkOption { type = types.listOf types.str; default = [ ]; description = "Other names."; };
      listen = mkOption {
        type = types.listOf (types.submodule {
          options = {
            addr = mkOption { type = types.str; description = "An address."; };
            port = mkOption { type = types.nullOr types.port; default = 80; description = "A port."; };
            ssl = mkOption { type = types.bool; default = false; description = "Whether TLS is spoken."; };
            extraParameters = mkOption { type = types.listOf types.str; default = [ ]; description = "More parameters."; };
          };
        });
        default = [ ];
        description = "Where it listens; none: port 80 of all addresses.";
      };
      listenAddresses = mkOption { type = types.listOf types.str; default = [ ]; description = "Addresses, with the default ports."; };
      default = mkOption { type = types.bool; default = false; description = "Whether it answers for unknown names."; };
      root = mkOption { type = types.nullOr types.path; default = null; description = "The folder of the files."; };
      basicAuth = mkOption { type = types.attrsOf types.str; default = { }; description = "Not supported."; };
      forceSSL = mkOption { type = types.bool; default = false; description = "Needs sslCertificate."; };
      onlySSL = mkOption { type = types.bool; default = false; description = "Needs sslCertificate."; };
      addSSL = mkOption { type = types.bool; default = false; description = "Needs sslCertificate."; };
      enableACME = mkOption { type = types.bool; default = false; description = "Not supported: the lab has no ACME server."; };
      sslCertificate = mkOption { type = types.nullOr types.path; default = null; description = "The certificate's file."; };
      sslCertificateKey = mkOption { type = types.nullOr types.path; default = null; description = "The key's file."; };
      globalRedirect = mkOption { type = types.nullOr types.str; default = null; description = "A name that all requests are sent to."; };
      extraConfig = lines "Text added to the server.";
      locations = mkOption { type = types.attrsOf (types.submodule locationModule); default = { }; description = "Locations."; };
    };
  };

  line = key: v: lib.optionalString (v != null) "${key} ${toString v};\n";
  proxyHeaders = ''
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
  '';
  showLocation = path: l: ''
    location ${path} {
    ${line "root" l.root}${line "alias" l.alias}${line "index" l.index}${line "try_files" l.tryFiles}${line "return" l.return}${line "proxy_pass" l.proxyPass}${lib.optionalString l.proxyWebsockets ''
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    ''}${lib.optionalString (l.proxyPass != null && l.recommendedProxySettings) proxyHeaders}${l.extraConfig}
    }
  '';
  showLocations = set: lib.concatMapStrings (x: showLocation x.name x.value)
    (lib.sort (a: b: a.value.priority < b.value.priority) (lib.attrsToList set));
  showHost = name: h:
    let
      ssl = h.addSSL || h.onlySSL || h.forceSSL;
      addresses = if h.listenAddresses != [ ] then h.listenAddresses else [ "0.0.0.0" ] ++ lib.optional config.networking.enableIPv6 "[::0]";
      plain = map (addr: { inherit addr; port = cfg.defaultHTTPListenPort; ssl = false; extraParameters = [ ]; }) addresses;
      secure = map (addr: { inherit addr; port = cfg.defaultSSLListenPort; ssl = true; extraParameters = [ ]; }) addresses;
      all = if h.listen != [ ] then h.listen else lib.optionals (!h.onlySSL) plain ++ lib.optionals ssl secure;
      redirected = lib.optionals h.forceSSL (lib.filter (l: !l.ssl) all);
      own = if h.forceSSL then lib.filter (l: l.ssl) all else all;
      listenLine = l: "listen ${l.addr}${lib.optionalString (l.port != null) ":${toString l.port}"}${lib.optionalString l.ssl " ssl"}${lib.optionalString h.default " default_server"}${lib.concatMapStrings (p: " ${p}") l.extraParameters};\n";
      names = "server_name ${lib.concatStringsSep " " ([ (if h.serverName != null then h.serverName else name) ] ++ h.serverAliases)};\n";
    in
    lib.optionalString (redirected != [ ]) ''
      server {
      ${lib.concatMapStrings listenLine redirected}${names}return 301 https://$host$request_uri;
      }
    '' + ''
      server {
      ${lib.concatMapStrings listenLine own}${names}${line "root" h.root}${lib.optionalString ssl "${line "ssl_certificate" h.sslCertificate}${line "ssl_certificate_key" h.sslCertificateKey}"}${lib.optionalString (h.globalRedirect != null) "return 301 $scheme://${h.globalRedirect}$request_uri;\n"}${showLocations h.locations}${h.extraConfig}
      }
    '';

  mimeTypes = pkgs.writeText "mime.types" ''
    types {
      text/html html htm;
      text/css css;
      text/plain txt;
      text/xml xml;
      application/javascript js mjs;
      application/json json;
      application/pdf pdf;
      image/png png;
      image/jpeg jpg jpeg;
      image/gif gif;
      image/svg+xml svg;
      image/x-icon ico;
      image/webp webp;
      font/woff2 woff2;
    }
  '';
  configFile = pkgs.writeText "nginx.conf" (if cfg.config != "" then cfg.config else ''
    pid /run/nginx/nginx.pid;
    error_log ${cfg.logError};
    daemon off;
    worker_processes 1;
    ${cfg.prependConfig}
    events {
    ${cfg.eventsConfig}
    }
    http {
    include ${cfg.defaultMimeTypes};
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    client_body_temp_path /var/cache/nginx/client_body;
    proxy_temp_path /var/cache/nginx/proxy;
    fastcgi_temp_path /var/cache/nginx/fastcgi;
    uwsgi_temp_path /var/cache/nginx/uwsgi;
    scgi_temp_path /var/cache/nginx/scgi;
    client_max_body_size ${cfg.clientMaxBodySize};
    server_tokens ${if cfg.serverTokens then "on" else "off"};
    ${lib.optionalString cfg.recommendedOptimisation "sendfile on;\ntcp_nopush on;\ntcp_nodelay on;\nkeepalive_timeout 65;"}
    ${lib.optionalString cfg.recommendedGzipSettings "gzip on;\ngzip_vary on;"}
    ${cfg.commonHttpConfig}
    ${lib.concatStrings (lib.mapAttrsToList (n: u: "upstream ${n} {\n${lib.concatMapStrings (s: "server ${s};\n") (builtins.attrNames u.servers)}${u.extraConfig}\n}\n") cfg.upstreams)}
    ${lib.concatStrings (lib.mapAttrsToList showHost cfg.virtualHosts)}
    ${cfg.appendHttpConfig}
    ${cfg.httpConfig}
    }
    ${cfg.appendConfig}
  '');
  used = if cfg.enableReload then "/etc/nginx/nginx.conf" else configFile;
  nginx = "${cfg.package}/bin/nginx -c '${used}'";
in
{
  options.services.nginx = {
    enable = mkEnableOption "Nginx Web Server";
    package = mkOption { type = types.package; default = pkgs.nginx; description = "The nginx package."; };
    enableReload = mkOption { type = types.bool; default = false; description = "Whether a changed configuration is reloaded instead of restarting nginx."; };
    user = mkOption { type = types.str; default = "nginx"; description = "The user that nginx runs as."; };
    group = mkOption { type = types.str; default = "nginx"; description = "The group that nginx runs as."; };
    config = mkOption { type = types.str; default = ""; description = "The whole configuration, in place of the generated one."; };
    defaultHTTPListenPort = mkOption { type = types.port; default = 80; description = "The port of hosts without listen."; };
    defaultSSLListenPort = mkOption { type = types.port; default = 443; description = "The port of TLS hosts without listen."; };
    defaultMimeTypes = mkOption { type = types.path; default = mimeTypes; description = "The file of MIME types."; };
    logError = mkOption { type = types.str; default = "stderr"; description = "Where errors are logged."; };
    clientMaxBodySize = mkOption { type = types.str; default = "10m"; description = "The largest request body."; };
    serverTokens = mkOption { type = types.bool; default = false; description = "Whether the version is shown."; };
    statusPage = mkOption { type = types.bool; default = false; description = "Not supported."; };
    recommendedGzipSettings = mkOption { type = types.bool; default = false; description = "Usual settings of gzip."; };
    recommendedOptimisation = mkOption { type = types.bool; default = false; description = "Usual settings for speed."; };
    recommendedProxySettings = mkOption { type = types.bool; default = false; description = "Usual headers to proxied servers."; };
    recommendedTlsSettings = mkOption { type = types.bool; default = false; description = "No effect."; };
    prependConfig = lines "Text at the beginning.";
    appendConfig = lines "Text at the end.";
    eventsConfig = lines "Text of the events block.";
    commonHttpConfig = lines "Text of the http block, before the servers.";
    appendHttpConfig = lines "Text of the http block, after the servers.";
    httpConfig = lines "Text of the http block.";
    preStart = lines "Shell commands before nginx starts.";
    upstreams = mkOption {
      type = types.attrsOf (types.submodule {
        options = {
          servers = mkOption { type = types.attrsOf types.attrs; default = { }; description = "Servers by address."; };
          extraConfig = lines "Text added to the upstream.";
        };
      });
      default = { };
      description = "Groups of servers.";
    };
    virtualHosts = mkOption { type = types.attrsOf (types.submodule hostModule); default = { }; description = "Sites by name."; };
  };

  config = lib.mkIf cfg.enable {
    assertions =
      [{
        assertion = lib.count (h: h.default) (lib.attrValues cfg.virtualHosts) <= 1;
        message = "Only one of services.nginx.virtualHosts may be the default.";
      }]
      ++ lib.concatLists (lib.mapAttrsToList
        (n: h: [
          {
            assertion = lib.count lib.id [ h.addSSL h.onlySSL h.forceSSL ] <= 1;
            message = "Options services.nginx.service.virtualHosts.${n}.addSSL, onlySSL and forceSSL are mutually exclusive.";
          }
          {
            assertion = (h.addSSL || h.onlySSL || h.forceSSL) -> (h.sslCertificate != null && h.sslCertificateKey != null);
            message = "services.nginx.virtualHosts.${n} wants TLS and needs sslCertificate and sslCertificateKey (the lab's tree has no ACME).";
          }
          {
            assertion = !h.enableACME && h.basicAuth == { };
            message = "services.nginx.virtualHosts.${n}: enableACME and basicAuth are not supported by the lab's tree.";
          }
        ])
        cfg.virtualHosts);

    environment.etc."nginx/nginx.conf" = lib.mkIf cfg.enableReload { source = configFile; };
    environment.systemPackages = [ cfg.package ];

    users.users.nginx = lib.mkIf (cfg.user == "nginx") { isSystemUser = true; group = cfg.group; };
    users.groups.nginx = lib.mkIf (cfg.group == "nginx") { };

    systemd.services.nginx = {
      description = "Nginx Web Server";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      startLimitIntervalSec = 60;
      preStart = ''
        ${cfg.preStart}
        ${nginx} -t
      '';
      serviceConfig = {
        Type = "exec";
        ExecStart = nginx;
        ExecReload = [ "${nginx} -t" "${pkgs.procps}/bin/kill -HUP $MAINPID" ];
        Restart = "always";
        RestartSec = "10s";
        User = cfg.user;
        Group = cfg.group;
        RuntimeDirectory = "nginx";
        RuntimeDirectoryMode = "0750";
        CacheDirectory = "nginx";
        CacheDirectoryMode = "0750";
        LogsDirectory = "nginx";
        LogsDirectoryMode = "0750";
        UMask = "0027";
        AmbientCapabilities = [ "CAP_NET_BIND_SERVICE" ];
        CapabilityBoundingSet = [ "CAP_NET_BIND_SERVICE" ];
        LimitNOFILE = 65536;
      };
    };
    systemd.services.nginx-config-reload = lib.mkIf cfg.enableReload {
      description = "Reload of nginx after its configuration changed";
      wants = [ "nginx.service" ];
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ configFile ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        TimeoutSec = 60;
        ExecCondition = "${config.systemd.package}/bin/systemctl --quiet is-active nginx.service";
        ExecStart = "${config.systemd.package}/bin/systemctl reload nginx.service";
      };
    };
  };
}
