{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.networking;
in
{
  options.networking = {
    hostName = mkOption {
      type = types.strMatching "^$|^[a-zA-Z0-9]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?$";
      default = "nixos";
      description = "The host's name; empty leaves it to the machine.";
    };
    domain = mkOption { type = types.nullOr types.str; default = null; description = "The domain."; };
    fqdn = mkOption { type = types.str; default = if cfg.domain == null then cfg.hostName else "${cfg.hostName}.${cfg.domain}"; description = "Host name and domain."; };
    hostId = mkOption { type = types.nullOr types.str; default = null; description = "Not used."; };
    hosts = mkOption { type = types.attrsOf (types.listOf types.str); default = { }; description = "Names by address. Not written: the container engine owns /etc/hosts."; };
    nameservers = mkOption { type = types.listOf types.str; default = [ ]; description = "Not written: the container engine owns /etc/resolv.conf."; };
    useDHCP = mkOption { type = types.bool; default = true; description = "No effect: addresses come from the lab."; };
    useNetworkd = mkOption { type = types.bool; default = false; description = "No effect: addresses come from the lab."; };
    dhcpcd.enable = mkOption { type = types.bool; default = true; description = "No effect: addresses come from the lab."; };
    enableIPv6 = mkOption { type = types.bool; default = true; description = "Whether rules for IPv6 are made."; };
    interfaces = mkOption { type = types.attrsOf (types.submodule { freeformType = types.attrsOf types.anything; }); default = { }; description = "No effect: addresses come from the lab."; };
    defaultGateway = mkOption { type = types.nullOr types.anything; default = null; description = "No effect: addresses come from the lab."; };
    defaultGateway6 = mkOption { type = types.nullOr types.anything; default = null; description = "No effect: addresses come from the lab."; };
    usePredictableInterfaceNames = mkOption { type = types.bool; default = true; description = "No effect."; };
  };
  config = lib.mkIf (cfg.hostName != "") {
    environment.etc.hostname.text = "${cfg.hostName}\n";
    system.activationScripts.hostname = {
      deps = [ "etc" ];
      text = ''
        if [ "$(cat /proc/sys/kernel/hostname)" != ${lib.escapeShellArg cfg.hostName} ]; then
          /usr/bin/hostname ${lib.escapeShellArg cfg.hostName} 2>/dev/null || true
        fi
      '';
    };
  };
}
