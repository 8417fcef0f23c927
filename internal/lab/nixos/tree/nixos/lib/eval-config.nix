# One NixOS configuration: { config, options, pkgs, extendModules, … }.
{ system ? builtins.currentSystem or "x86_64-linux"
, modules
, specialArgs ? { }
, extraModules ? [ ]
, baseModules ? import ../modules/module-list.nix
, extraArgs ? { }
, modulesLocation ? null
, lib ? import ../../lib
, pkgs ? null
, prefix ? [ ]
, check ? true
, ...
}:
let
  located =
    if modulesLocation == null then modules
    else map (lib.setDefaultModuleLocation modulesLocation) modules;

  given = {
    _file = ./eval-config.nix;
    key = "eval-config-arguments";
    config = lib.mkMerge [
      (lib.mkIf (system != null) { nixpkgs.system = lib.mkDefault system; })
      (lib.mkIf (pkgs != null) { _module.args.pkgs = lib.mkForce pkgs; })
    ];
  };

  evaluated = lib.evalModules {
    inherit prefix check;
    class = "nixos";
    args = extraArgs // { inherit baseModules extraModules; modules = located; };
    specialArgs = { modulesPath = toString ../modules; } // specialArgs;
    modules = baseModules ++ extraModules ++ [ given ] ++ located;
  };

  present = e: e // {
    inherit extraArgs lib;
    pkgs = e._module.args.pkgs;
    extendModules = args: present (e.extendModules args);
  };
in
present evaluated
