# The library, usable alone: `import ./lib`. Each file is given the finished
# library and returns one group of functions; the common groups are also
# reachable without their group's name, as nixpkgs has it.
let
  group = file: import file { inherit lib; };

  trivial = group ./trivial.nix;
  lists = group ./lists.nix;
  attrsets = group ./attrsets.nix;
  strings = group ./strings.nix;
  options = group ./options.nix;
  modules = group ./modules.nix;
  types = group ./types.nix;
  generators = group ./generators.nix;
  meta = group ./meta.nix;
  systems = group ./systems.nix;

  lib =
    trivial // lists // attrsets // strings // options // modules // meta
    // {
      inherit
        trivial lists attrsets strings options modules types generators meta
        systems;
      versions = {
        major = v: builtins.elemAt (builtins.splitVersion v) 0;
        minor = v: builtins.elemAt (builtins.splitVersion v) 1;
        majorMinor = v:
          builtins.concatStringsSep "." (lib.take 2 (builtins.splitVersion v));
      };
      asserts = { inherit (trivial) assertMsg assertOneOf; };
      inherit (types) mkOptionType;
      fixedPoints = { inherit (trivial) fix extends composeExtensions; };
      customisation = { inherit (meta) makeOverridable; };
      # Flakes call it on the library itself.
      nixosSystem = args:
        import ../nixos/lib/eval-config.nix ({ inherit lib; system = null; } // args);
    };
in
lib
