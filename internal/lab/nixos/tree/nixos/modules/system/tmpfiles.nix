{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.systemd.tmpfiles;
  entry = path: type: e: "${type} ${lib.strings.escape [ " " ] path} ${e.mode} ${e.user} ${e.group} ${e.age} ${e.argument}";
  rulesOf = set: lib.concatLists (lib.mapAttrsToList (path: types': lib.mapAttrsToList (entry path) types') set);
in
{
  options.systemd.tmpfiles = {
    rules = mkOption { type = types.listOf types.str; default = [ ]; example = [ "d /tmp 1777 root root 10d" ]; description = "Rules for systemd-tmpfiles."; };
    settings = mkOption {
      type = types.attrsOf (types.attrsOf (types.attrsOf (types.submodule {
        options = lib.mapAttrs
          (n: default: mkOption { type = types.str; inherit default; description = "The rule's ${n}."; })
          { mode = "-"; user = "-"; group = "-"; age = "-"; argument = ""; };
      })));
      default = { };
      description = "Rules by file name, path and type.";
    };
    packages = mkOption { type = types.listOf types.package; default = [ ]; description = "Packages with lib/tmpfiles.d. Not read."; };
  };
  config = {
    environment.etc = {
      "tmpfiles.d/00-nixos.conf".text = lib.concatMapStrings (r: r + "\n") cfg.rules;
    } // lib.mapAttrs' (n: set: lib.nameValuePair "tmpfiles.d/${n}.conf" { text = lib.concatMapStrings (r: r + "\n") (rulesOf set); }) cfg.settings;
    systemd.services.systemd-tmpfiles-resetup = {
      description = "Re-setup tmpfiles on a system that is already running.";
      requiredBy = [ "sysinit-reactivation.target" ];
      after = [ "local-fs.target" ];
      before = [ "sysinit-reactivation.target" "shutdown.target" ];
      conflicts = [ "shutdown.target" ];
      restartTriggers = [ config.environment.etc."tmpfiles.d/00-nixos.conf".source ];
      unitConfig.DefaultDependencies = false;
      enableDefaultPath = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "/usr/bin/systemd-tmpfiles --create --remove --exclude-prefix=/dev";
        SuccessExitStatus = "DATAERR CANTCREAT";
      };
    };
    systemd.targets.sysinit-reactivation = {
      description = "Reactivate sysinit units";
    };
  };
}
