{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.system.nixos;
in
{
  options.system = {
    stateVersion = mkOption {
      type = types.str;
      default = cfg.release;
      description = "The release whose data layout the host's state follows. Do not change it after the installation.";
    };
    nixos = {
      version = mkOption { type = types.str; default = "${cfg.release}${cfg.versionSuffix}"; description = "The full version."; };
      release = mkOption { type = types.str; readOnly = true; default = lib.release; description = "The release."; };
      versionSuffix = mkOption { type = types.str; default = ".lab"; internal = true; description = "What follows the release in the version."; };
      revision = mkOption { type = types.nullOr types.str; default = null; internal = true; description = "The revision of the tree."; };
      codeName = mkOption { type = types.str; readOnly = true; default = lib.codeName; description = "The release's name."; };
      distroId = mkOption { type = types.str; default = "nixos"; internal = true; description = "ID in os-release."; };
      distroName = mkOption { type = types.str; default = "NixOS"; internal = true; description = "NAME in os-release."; };
      label = mkOption { type = types.strMatching "[a-zA-Z0-9:_\\.-]*"; default = lib.concatStringsSep "-" (cfg.tags ++ [ cfg.version ]); description = "The label of the system in boot menu and store path."; };
      tags = mkOption { type = types.listOf types.str; default = [ ]; description = "Words in front of the version in the default label."; };
    };
    configurationRevision = mkOption { type = types.nullOr types.str; default = null; description = "The revision that the configuration was made from."; };
    name = mkOption {
      type = types.str;
      default = if config.networking.hostName == "" then "unnamed" else config.networking.hostName;
      description = "The system's name in its store path.";
    };
  };
  config.environment.etc = {
    "os-release".text = ''
      ID=${cfg.distroId}
      NAME=${cfg.distroName}
      PRETTY_NAME="${cfg.distroName} ${cfg.release} (the lab's small tree on Debian programs)"
      VERSION="${cfg.release} (${cfg.codeName})"
      VERSION_ID="${cfg.release}"
      BUILD_ID="${cfg.version}"
    '';
    "lsb-release".text = ''
      DISTRIB_ID=${cfg.distroId}
      DISTRIB_RELEASE=${cfg.release}
    '';
  };
}
