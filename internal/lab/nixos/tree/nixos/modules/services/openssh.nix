{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption mkEnableOption types;
  cfg = config.services.openssh;
  yesNo = v: if v == true then "yes" else if v == false then "no" else if builtins.isList v then lib.concatStringsSep "," v else toString v;
  words = v: if builtins.isList v then lib.concatStringsSep " " v else yesNo v;
  spaced = [ "AllowUsers" "DenyUsers" "AllowGroups" "DenyGroups" "AuthorizedKeysFile" "AcceptEnv" ];
  settings = lib.concatStrings (lib.mapAttrsToList
    (k: v: lib.optionalString (v != null) "${k} ${if lib.elem k spaced then words v else yesNo v}\n")
    cfg.settings);
  nullOrBool = default: description: mkOption { type = types.nullOr types.bool; inherit default description; };
  nullOrList = default: description: mkOption { type = types.nullOr (types.listOf types.str); inherit default description; };
  listen = a: "ListenAddress ${a.addr}${lib.optionalString (a.port != null) ":${toString a.port}"}\n";
in
{
  imports = [
    (lib.mkRenamedOptionModule [ "services" "sshd" "enable" ] [ "services" "openssh" "enable" ])
  ];
  options.services.openssh = {
    enable = mkOption { type = types.bool; default = false; description = "Whether to enable the OpenSSH secure shell daemon."; };
    package = mkOption { type = types.package; default = pkgs.openssh; description = "The OpenSSH package."; };
    startWhenNeeded = mkOption { type = types.bool; default = false; description = "Not supported: the daemon always runs."; };
    ports = mkOption { type = types.listOf types.port; default = [ 22 ]; description = "Ports that sshd listens on."; };
    openFirewall = mkOption { type = types.bool; default = true; description = "Whether the firewall opens them."; };
    listenAddresses = mkOption {
      type = types.listOf (types.submodule {
        options = {
          addr = mkOption { type = types.str; description = "An address."; };
          port = mkOption { type = types.nullOr types.port; default = null; description = "A port."; };
        };
      });
      default = [ ];
      description = "Addresses that sshd listens on; none: all.";
    };
    hostKeys = mkOption {
      type = types.listOf types.attrs;
      default = [{ type = "ed25519"; path = "/etc/ssh/ssh_host_ed25519_key"; }];
      description = "Host keys; missing ones are made when sshd starts.";
    };
    authorizedKeysFiles = mkOption { type = types.listOf types.str; default = [ ]; description = "More files with authorized keys."; };
    authorizedKeysInHomedir = mkOption { type = types.bool; default = true; description = "Whether ~/.ssh/authorized_keys counts."; };
    banner = mkOption { type = types.nullOr types.lines; default = null; description = "Text shown before the login."; };
    extraConfig = mkOption { type = types.lines; default = ""; description = "Text added to sshd_config."; };
    settings = mkOption {
      default = { };
      description = "The contents of sshd_config.";
      type = types.submodule {
        freeformType = types.attrsOf (types.nullOr (types.oneOf [ types.bool types.int types.str (types.listOf types.str) ]));
        options = {
          PermitRootLogin = mkOption { type = types.nullOr (types.enum [ "yes" "without-password" "prohibit-password" "forced-commands-only" "no" ]); default = "prohibit-password"; description = "Whether root may log in."; };
          PasswordAuthentication = nullOrBool true "Whether passwords are accepted.";
          KbdInteractiveAuthentication = nullOrBool true "Whether keyboard-interactive is accepted.";
          X11Forwarding = nullOrBool false "Whether X11 may be forwarded.";
          UsePAM = nullOrBool true "Whether PAM is asked.";
          UseDns = nullOrBool false "Whether client names are looked up.";
          PrintMotd = nullOrBool false "Whether sshd prints /etc/motd.";
          StrictModes = nullOrBool true "Whether modes of home and keys are checked.";
          GatewayPorts = mkOption { type = types.nullOr types.str; default = "no"; description = "Whether forwarded ports listen outside."; };
          LogLevel = mkOption { type = types.nullOr types.str; default = "INFO"; description = "How much is logged."; };
          AllowUsers = nullOrList null "Users that may log in.";
          DenyUsers = nullOrList null "Users that may not.";
          AllowGroups = nullOrList null "Groups that may log in.";
          DenyGroups = nullOrList null "Groups that may not.";
        };
      };
    };
  };

  config = lib.mkIf cfg.enable {
    users.users.sshd = { isSystemUser = true; group = "sshd"; description = "SSH privilege separation user"; };
    users.groups.sshd = { };

    services.openssh.authorizedKeysFiles =
      lib.optional cfg.authorizedKeysInHomedir "%h/.ssh/authorized_keys" ++ [ "/etc/ssh/authorized_keys.d/%u" ];

    environment.etc."ssh/sshd_config".text = ''
      ${lib.concatMapStrings (p: "Port ${toString p}\n") cfg.ports}${lib.concatMapStrings listen cfg.listenAddresses}${settings}AuthorizedKeysFile ${lib.concatStringsSep " " cfg.authorizedKeysFiles}
      ${lib.optionalString (cfg.banner != null) "Banner ${pkgs.writeText "ssh_banner" cfg.banner}\n"}Subsystem sftp ${cfg.package}/libexec/sftp-server
      ${lib.concatMapStrings (k: "HostKey ${k.path}\n") cfg.hostKeys}${cfg.extraConfig}
    '';

    systemd.services.sshd = {
      description = "SSH Daemon";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      # sessions live on while the daemon is replaced
      stopIfChanged = false;
      path = [ cfg.package pkgs.gawk ];
      restartTriggers = [ config.environment.etc."ssh/sshd_config".source ];
      preStart = ''
        ${lib.concatMapStrings (k: ''
          if ! [ -s "${k.path}" ]; then
            mkdir -p "$(dirname "${k.path}")"
            ssh-keygen -q -t "${k.type}" ${lib.optionalString (k ? bits) "-b ${toString k.bits}"} -f "${k.path}" -N ""
          fi
        '') cfg.hostKeys}
        ${cfg.package}/bin/sshd -t -f /etc/ssh/sshd_config
      '';
      serviceConfig = {
        Type = "notify";
        ExecStart = "${cfg.package}/bin/sshd -D -f /etc/ssh/sshd_config";
        ExecReload = "${pkgs.procps}/bin/kill -HUP $MAINPID";
        KillMode = "process";
        Restart = "always";
        RestartSec = 1;
        RuntimeDirectory = "sshd";
        RuntimeDirectoryMode = "0755";
        RuntimeDirectoryPreserve = true;
      };
    };

    networking.firewall.allowedTCPPorts = lib.optionals cfg.openFirewall cfg.ports;

    assertions = [
      {
        assertion = cfg.startWhenNeeded == false;
        message = "services.openssh.startWhenNeeded is not supported by the lab's tree.";
      }
      {
        assertion = cfg.ports != [ ] || cfg.listenAddresses != [ ];
        message = "services.openssh needs a port.";
      }
    ];
  };
}
