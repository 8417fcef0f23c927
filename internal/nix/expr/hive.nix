# A Colmena hive: its settings, its hosts, and each host's configuration.
{ words # words.nix
, fleet # facts, as hosts and hive get them
, server # name → facts of one server, or null
, file # of the hive, as a string
, written # what the file, or the flake's output, holds
, pure # of a flake: no <nixpkgs>, and nixpkgs for a stated platform
}:
let
  inherit (builtins)
    all any attrNames elem filter functionArgs head isAttrs isBool
    isList isPath isString map match toJSON;
  inherit (words) byName callWith callable fail kind list wrong;

  called = if callable written then callWith { inherit fleet; } written else written;
  hive =
    if isAttrs called then called
    else fail {
      message = "the hive is a ${kind called}, not a set of hosts";
      hint = "Write { meta = { … }; host-name = { … }; } or a function of { fleet, ... } that returns it.";
    };

  # ---- meta ----------------------------------------------------------------

  # A host that was called meta, by what only a host can have.
  ofHosts = [
    "assertions" "boot" "deployment" "documentation" "environment" "fileSystems" "hardware" "i18n" "networking" "nix"
    "programs" "security" "services" "swapDevices" "system" "systemd" "time" "users" "virtualisation" "warnings"
  ];
  isHost = value:
    callable value || isPath value || isList value
    || isAttrs value && !any (key: defaults ? ${key}) (attrNames value) && any (key: elem key ofHosts) (attrNames value);
  takenByHost = hive ? meta && isHost hive.meta;
  metaName = if hive ? meta && !takenByHost then "meta" else "network";
  rawMeta = hive.${metaName} or { };

  defaults = {
    allowApplyAll = true;
    description = "";
    machinesFile = null;
    name = "hive";
    nixpkgs = null;
    nodeNixpkgs = { };
    nodeSpecialArgs = { };
    specialArgs = { };
  };
  metaWrong = key: message: hint: fail { inherit message hint; set = rawMeta; attribute = key; };
  settings = defaults // rawMeta;
  typed = key: good: wanted:
    if good settings.${key} then true
    else metaWrong key "${metaName}.${key} is a ${kind settings.${key}}, not ${wanted}" "";
  unknown = filter (key: !(defaults ? ${key})) (attrNames rawMeta);
  meta =
    if hive ? meta && hive ? network && !takenByHost then fail {
      message = "the hive has both meta and network";
      hint = "They are two names of one thing: keep meta.";
      set = hive;
      attribute = "network";
    }
    else if !isAttrs rawMeta then fail {
      message = "${metaName} is a ${kind rawMeta}, not a set";
      hint = "meta holds settings of the whole hive and cannot be a host's name.";
      set = hive;
      attribute = metaName;
    }
    # `network` may carry what other tools put there
    else if metaName == "meta" && unknown != [ ] then
      metaWrong (head unknown) "meta.${head unknown} is not known" "meta has: ${list (attrNames defaults)}."
    else
      assert typed "name" isString "a text";
      assert typed "description" isString "a text";
      assert typed "allowApplyAll" isBool "true or false";
      assert typed "machinesFile" (v: v == null || isPath v || isString v) "a path";
      assert all (key: typed key isAttrs "a set") [ "nodeNixpkgs" "nodeSpecialArgs" "specialArgs" ];
      settings;

  # ---- names ---------------------------------------------------------------

  reserved = [ "meta" "network" "defaults" ];
  candidates = filter (name: !elem name reserved) (attrNames hive);
  badName = name: match "[a-zA-Z0-9_][a-zA-Z0-9_.-]*" name == null;
  names = builtins.seq meta (filter (name: !badName name) candidates);
  # Hosts that cannot be because of their names; the others can.
  misnamed = byName (filter badName candidates)
    (name: wrong {
      message = "${toJSON name} cannot be a host's name";
      hint = "Names are letters, digits, '-', '_' and '.', and start with a letter or digit.";
      set = hive;
      attribute = name;
    }) // (if !takenByHost then { } else {
    meta = wrong {
      message = "a host cannot be called meta";
      hint = "meta holds the settings of the whole hive, a set of: ${list (attrNames defaults)}. Give the host another name.";
      set = hive;
      attribute = "meta";
    };
  });

  # ---- nixpkgs -------------------------------------------------------------

  # A package set, and whether the user made it: then its settings count.
  packages = where: set: attribute: value:
    let
      refuse = message: hint: fail { inherit message hint set attribute; };
      bare = what: refuse "${where} is ${what}, which does not say for what platform"
        "In a flake write: ${where} = import nixpkgs { system = \"x86_64-linux\"; };";
      # pinned, so that nothing is read from the environment or a home folder
      plain = callWith { overlays = [ ]; config = { }; };
    in
    if callable value && !(isAttrs value && value ? lib) then
      (if pure then bare "a function" else { set = plain value; own = false; })
    else if isAttrs value && value ? path && value ? lib then { set = value; own = true; }
    else if isPath value || isString value || isAttrs value && value ? outPath then
      (if pure then bare (if isAttrs value then "a flake's input" else "a path") else packages where set attribute (import value))
    else refuse "${where} is a ${kind value} that is no nixpkgs" "Give a path (<nixpkgs>), a function, or a ready set (import <nixpkgs> { }).";

  common =
    if meta.nixpkgs != null then packages "meta.nixpkgs" rawMeta "nixpkgs" meta.nixpkgs
    else if !pure then packages "meta.nixpkgs" rawMeta "nixpkgs" <nixpkgs>
    else fail {
      message = "the hive of a flake needs meta.nixpkgs";
      hint = "Write: meta.nixpkgs = import nixpkgs { system = \"x86_64-linux\"; };";
      set = hive;
      attribute = metaName;
    };
  packagesFor = name:
    if meta.nodeNixpkgs ? ${name}
    then packages "meta.nodeNixpkgs.${name}" meta.nodeNixpkgs name meta.nodeNixpkgs.${name}
    else common;

  # ---- hosts ---------------------------------------------------------------

  # A module that is written in the hive, with the hive's name for errors. It is
  # not put into `imports` of another: that changes the order of lists.
  located = module:
    let
      named = value:
        if isAttrs value && !(value ? _file || value ? _type || value ? outPath || value ? __functor)
        then { _file = file; } // value else value;
    in
    if builtins.isFunction module && common.set.lib ? setFunctionArgs
    then common.set.lib.setFunctionArgs (arguments: named (module arguments)) (functionArgs module)
    else named module;
  modulesOf = value: map located (if isList value then value else [ value ]);

  # A ready package set brings its overlays and configuration along.
  packagesModule = pkgs: { lib, ... }:
    let
      typed = lib.versionAtLeast (lib.version or "0") "22.11pre";
      overlays = if pkgs.overlays or [ ] == [ ] then { } else { nixpkgs.overlays = lib.mkBefore pkgs.overlays; };
      config = if pkgs.config or { } == { } then { } else {
        nixpkgs.config = if typed then lib.mkBefore pkgs.config else lib.mkOptionDefault pkgs.config;
      };
    in
    { _file = "meta.nixpkgs"; imports = [ overlays config ]; };

  evaluate = checked: name:
    let
      pkgs = packagesFor name;
      evalConfig = import (pkgs.set.path + "/nixos/lib/eval-config.nix");
      modern = functionArgs evalConfig ? specialArgs;
      special = { inherit name nodes fleet; } // meta.specialArgs // meta.nodeSpecialArgs.${name} or { };
    in
    evalConfig ({
      system = pkgs.set.stdenv.hostPlatform.system or pkgs.set.system or builtins.currentSystem;
      modules = [ (import ./deployment.nix server name) (import ./keys.nix name) ]
        ++ (if pkgs.own then [ (packagesModule pkgs.set) ] else [ ])
        ++ (if modern && !checked then [{ _module.check = false; }] else [ ])
        ++ (if hive ? defaults then modulesOf hive.defaults else [ ])
        ++ modulesOf hive.${name};
    } // (if modern then { specialArgs = special; } else { extraArgs = special; check = checked; }));

  # What other hosts may look into. Not checked for undeclared options: that is
  # done once, for the host itself.
  nodes = byName names (evaluate false);
in
{
  inherit names misnamed;
  settings = { inherit (meta) name description allowApplyAll machinesFile; };
  node = evaluate true;
}
