{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.nix;
  show = v: if builtins.isBool v then lib.boolToString v else if builtins.isList v then lib.concatStringsSep " " (map toString v) else toString v;
  atom = types.nullOr (types.oneOf [ types.bool types.int types.float types.str types.path types.package ]);
in
{
  options.nix = {
    enable = mkOption { type = types.bool; default = true; description = "Whether Nix is configured."; };
    package = mkOption { type = types.package; default = pkgs.nix; description = "The Nix package."; };
    extraOptions = mkOption { type = types.lines; default = ""; description = "Text added to nix.conf."; };
    channel.enable = mkOption { type = types.bool; default = true; description = "No effect: the lab has no channels."; };
    nixPath = mkOption { type = types.listOf types.str; default = [ ]; description = "NIX_PATH of logins."; };
    registry = mkOption { type = types.attrsOf types.anything; default = { }; description = "Not written."; };
    gc = {
      automatic = mkOption { type = types.bool; default = false; description = "Whether a timer collects garbage."; };
      dates = mkOption { type = types.either types.singleLineStr (types.listOf types.str); default = "03:15"; description = "When."; };
      options = mkOption { type = types.singleLineStr; default = ""; description = "Options of nix-collect-garbage."; };
    };
    settings = mkOption {
      type = types.submodule {
        freeformType = types.attrsOf (types.either atom (types.listOf atom));
        options = {
          experimental-features = mkOption { type = types.either types.str (types.listOf types.str); default = [ "nix-command" "flakes" ]; description = "Features that are switched on."; };
          substituters = mkOption { type = types.listOf types.str; default = [ ]; description = "Binary caches; none by default in the lab."; };
          trusted-users = mkOption { type = types.listOf types.str; default = [ "root" ]; description = "Users that may push unsigned paths."; };
          sandbox = mkOption { type = types.either types.bool (types.enum [ "relaxed" ]); default = false; description = "Whether builds run in a sandbox; a container cannot."; };
          require-sigs = mkOption { type = types.bool; default = true; description = "Whether pushed paths need a signature, unless a trusted user pushes them."; };
          fsync-metadata = mkOption { type = types.bool; default = false; description = "Whether Nix waits for the disk after each change; lab hosts do not outlive their machine."; };
          build-users-group = mkOption { type = types.str; default = ""; description = "The group that builds run as; empty: as root."; };
        };
      };
      default = { };
      description = "The contents of nix.conf.";
    };
  };
  config = lib.mkIf cfg.enable {
    environment.etc."nix/nix.conf".text =
      lib.concatStrings (lib.mapAttrsToList (n: v: lib.optionalString (v != null) "${n} = ${show v}\n") cfg.settings)
      + cfg.extraOptions;
    environment.variables.NIX_PATH = lib.mkIf (cfg.nixPath != [ ]) cfg.nixPath;
    systemd.services.nix-gc = lib.mkIf cfg.gc.automatic {
      description = "Nix Garbage Collector";
      script = "exec ${cfg.package}/bin/nix-collect-garbage ${cfg.gc.options}";
      serviceConfig.Type = "oneshot";
      startAt = cfg.gc.dates;
    };
  };
}
