{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.networking.firewall;

  portRange = types.submodule {
    options = {
      from = mkOption { type = types.port; description = "The first port."; };
      to = mkOption { type = types.port; description = "The last port."; };
    };
  };
  sorted = ports: lib.unique (lib.sort (a: b: a < b) ports);
  portOptions = {
    allowedTCPPorts = mkOption { type = types.listOf types.port; default = [ ]; apply = sorted; description = "Open TCP ports."; };
    allowedUDPPorts = mkOption { type = types.listOf types.port; default = [ ]; apply = sorted; description = "Open UDP ports."; };
    allowedTCPPortRanges = mkOption { type = types.listOf portRange; default = [ ]; description = "Open ranges of TCP ports."; };
    allowedUDPPortRanges = mkOption { type = types.listOf portRange; default = [ ]; description = "Open ranges of UDP ports."; };
  };

  rulesFor = name: ports:
    let
      on = lib.optionalString (name != "default") "-i ${name} ";
      accept = proto: port: "ip46tables -A nixos-fw -p ${proto} --dport ${port} ${on}-j nixos-fw-accept\n";
      range = r: "${toString r.from}:${toString r.to}";
    in
    lib.concatMapStrings (p: accept "tcp" (toString p)) ports.allowedTCPPorts
    + lib.concatMapStrings (r: accept "tcp" (range r)) ports.allowedTCPPortRanges
    + lib.concatMapStrings (p: accept "udp" (toString p)) ports.allowedUDPPorts
    + lib.concatMapStrings (r: accept "udp" (range r)) ports.allowedUDPPortRanges;

  helpers = ''
    # both families, as far as the kernel has the second
    have6=${lib.boolToString config.networking.enableIPv6}
    if [ "$have6" = true ] && ! ip6tables -w -S INPUT >/dev/null 2>&1; then have6=false; fi
    ip46tables() {
      iptables -w "$@" || return
      if [ "$have6" = true ]; then ip6tables -w "$@"; fi
    }
  '';
  clear = ''
    ip46tables -D INPUT -j nixos-fw 2>/dev/null || true
    for chain in nixos-fw nixos-fw-accept nixos-fw-refuse nixos-fw-log-refuse; do
      ip46tables -F "$chain" 2>/dev/null || true
    done
    for chain in nixos-fw nixos-fw-log-refuse nixos-fw-refuse nixos-fw-accept; do
      ip46tables -X "$chain" 2>/dev/null || true
    done
  '';
  script = name: text: pkgs.writeScript "firewall-${name}" ''
    #!${pkgs.runtimeShell} -e
    ${helpers}
    ${text}
  '';

  start = script "start" ''
    ${clear}
    ip46tables -N nixos-fw-accept
    ip46tables -A nixos-fw-accept -j ACCEPT
    ip46tables -N nixos-fw-refuse
    ip46tables -A nixos-fw-refuse -j ${if cfg.rejectPackets then "REJECT" else "DROP"}
    ip46tables -N nixos-fw-log-refuse
    ip46tables -A nixos-fw-log-refuse -j nixos-fw-refuse
    ip46tables -N nixos-fw
    ${lib.concatMapStrings (i: "ip46tables -A nixos-fw -i ${i} -j nixos-fw-accept\n") cfg.trustedInterfaces}
    ip46tables -A nixos-fw -m conntrack --ctstate ESTABLISHED,RELATED -j nixos-fw-accept
    ${lib.concatStrings (lib.mapAttrsToList rulesFor cfg.allInterfaces)}
    ${lib.optionalString cfg.allowPing "iptables -w -A nixos-fw -p icmp --icmp-type echo-request -j nixos-fw-accept"}
    if [ "$have6" = true ]; then
      # neighbour discovery must work, or there is no IPv6 at all
      ip6tables -w -A nixos-fw -p icmpv6 --icmpv6-type redirect -j DROP
      ip6tables -w -A nixos-fw -p icmpv6 --icmpv6-type 139 -j DROP
      ip6tables -w -A nixos-fw -p icmpv6 -j nixos-fw-accept
    fi
    ${cfg.extraCommands}
    ip46tables -A nixos-fw -j nixos-fw-log-refuse
    ip46tables -A INPUT -j nixos-fw
  '';
  stop = script "stop" ''
    ${clear}
    ${cfg.extraStopCommands}
  '';
  reload = script "reload" ''
    # Whoever may come in at all may come in while the rules are replaced.
    ${start}
  '';
in
{
  options.networking.firewall = portOptions // {
    enable = mkOption { type = types.bool; default = true; description = "Whether the firewall is on."; };
    package = mkOption { type = types.package; default = pkgs.iptables; description = "The iptables package."; };
    backend = mkOption { type = types.enum [ "iptables" ]; default = "iptables"; internal = true; description = "Always iptables here."; };
    allowPing = mkOption { type = types.bool; default = true; description = "Whether pings are answered."; };
    rejectPackets = mkOption { type = types.bool; default = false; description = "Whether refused packets are answered."; };
    logRefusedConnections = mkOption { type = types.bool; default = true; description = "No effect: containers have no kernel log."; };
    logRefusedPackets = mkOption { type = types.bool; default = false; description = "No effect."; };
    checkReversePath = mkOption { type = types.either types.bool (types.enum [ "strict" "loose" ]); default = false; description = "No effect in a container."; };
    trustedInterfaces = mkOption { type = types.listOf types.str; default = [ ]; description = "Interfaces from which all is let in."; };
    extraPackages = mkOption { type = types.listOf types.package; default = [ ]; description = "Packages for the extra commands."; };
    extraCommands = mkOption { type = types.lines; default = ""; description = "Shell commands at the end of the start."; };
    extraStopCommands = mkOption { type = types.lines; default = ""; description = "Shell commands at the end of the stop."; };
    interfaces = mkOption { type = types.attrsOf (types.submodule { options = portOptions; }); default = { }; description = "Open ports by interface."; };
    allInterfaces = mkOption {
      type = types.attrsOf types.raw;
      internal = true;
      readOnly = true;
      default = { default = lib.mapAttrs (n: _: cfg.${n}) portOptions; } // cfg.interfaces;
      description = "Open ports of all interfaces.";
    };
  };

  config = lib.mkIf cfg.enable {
    networking.firewall.trustedInterfaces = [ "lo" ];
    environment.systemPackages = [ cfg.package ];
    systemd.services.firewall = {
      description = "Firewall";
      wantedBy = [ "sysinit.target" ];
      wants = [ "network-pre.target" ];
      after = [ "systemd-modules-load.service" ];
      before = [ "network-pre.target" "shutdown.target" ];
      conflicts = [ "shutdown.target" ];
      path = [ cfg.package ] ++ cfg.extraPackages;
      reloadIfChanged = true;
      unitConfig.DefaultDependencies = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "@${start} firewall-start";
        ExecReload = "@${reload} firewall-reload";
        ExecStop = "@${stop} firewall-stop";
      };
    };
  };
}
