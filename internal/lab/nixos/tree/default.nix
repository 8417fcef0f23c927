# The package set: `import TREE { overlays = [ ]; config = { }; }`.
# See README.md beside the tree for what it is and what it is not.
{ overlays ? [ ]
, config ? { }
, system ? null
, localSystem ? null
, crossOverlays ? [ ]
, ...
}:
let
  lib = import ./lib;
  platform =
    if system != null then system
    else if localSystem != null then (lib.systems.elaborate localSystem).system
    else builtins.currentSystem or "x86_64-linux";

  base = final: {
    _type = "pkgs";
    path = ./.;
    inherit lib config overlays;
    system = platform;
    stdenv = import ./pkgs/stdenv.nix { inherit lib; system = platform; pkgs = final; };
    callPackage = lib.callPackageWith final;
    newScope = extra: lib.callPackageWith (final // extra);
    extend = overlay: (import ./. { inherit config; system = platform; overlays = overlays ++ [ overlay ]; });
    appendOverlays = more: (import ./. { inherit config; system = platform; overlays = overlays ++ more; });
    pkgs = final;
    buildPackages = final;
    nixos = configuration: import ./nixos/lib/eval-config.nix {
      system = platform;
      modules = lib.toList configuration ++ [{ nixpkgs.pkgs = final; }];
    };
  };
  layers = [
    (final: _: import ./pkgs/builders.nix { inherit lib; pkgs = final; })
    (final: _: import ./pkgs/packages.nix { inherit lib; pkgs = final; })
  ] ++ overlays ++ crossOverlays;
in
lib.fix (lib.foldl' (acc: overlay: lib.extends overlay acc) base layers)
