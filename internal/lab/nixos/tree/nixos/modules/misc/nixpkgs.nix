{ config, options, lib, ... }:
let
  cfg = config.nixpkgs;
  inherit (lib) mkOption types;
in
{
  options.nixpkgs = {
    pkgs = mkOption {
      type = types.pkgs;
      default = import ../../.. { inherit (cfg) config overlays; system = cfg.hostPlatform.system; };
      description = "The package set; replaces the one made from the other options here.";
    };
    config = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      description = "Configuration of the package set. The tree reads none of it.";
    };
    overlays = mkOption {
      type = types.listOf (lib.mkOptionType {
        name = "nixpkgs-overlay";
        description = "nixpkgs overlay";
        check = lib.isFunction;
        merge = lib.mergeOneOption;
      });
      default = [ ];
      description = "Overlays of the package set.";
    };
    system = mkOption {
      type = types.str;
      default = builtins.currentSystem or "x86_64-linux";
      description = "The platform that the system runs on, in its old form.";
    };
    hostPlatform = mkOption {
      type = types.either types.str types.attrs;
      default = cfg.system;
      apply = lib.systems.elaborate;
      description = "The platform that the system runs on.";
    };
    buildPlatform = mkOption {
      type = types.either types.str types.attrs;
      default = cfg.hostPlatform;
      apply = lib.systems.elaborate;
      description = "The platform that builds; the tree builds on the host's only.";
    };
    flake.source = mkOption { type = types.nullOr types.raw; default = null; description = "Not used."; };
  };
  config._module.args.pkgs = lib.mkOptionDefault (
    if options.nixpkgs.pkgs.highestPrio < 1500 && cfg.overlays != [ ]
    then cfg.pkgs.appendOverlays cfg.overlays
    else cfg.pkgs
  );
}
