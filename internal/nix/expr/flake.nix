# A flake's hosts. Calls the outputs of flake.nix by itself, with inputs that
# the caller took from flake.lock: so that every version of Nix, restricted or
# not, does the same, and nothing is fetched while code of the flake runs.
{ words # words.nix
, fleet # facts
, lock # nodes of flake.lock as the caller resolved them, by key; "" is the flake itself
, open # hive.nix for a hive that a flake holds
}:
let
  inherit (builtins) attrNames filter functionArgs head isAttrs isFunction mapAttrs;
  inherit (words) byName fail kind list;

  # A store path as a string that says so: derivations then depend on it.
  stored = path: builtins.appendContext path { ${path} = { path = true; }; };

  # What a node's source is: a path in the store, or a folder of another node's.
  sourceOf = key: node:
    if node.within == null then
      (if node.path != "" then (if key == "" then mapAttrs (name: words.note "self ${name}") node.info else node.info) // { outPath = stored node.path; }
      else fail { inherit (node.missing) message hint; input = key; })
    else
      let
        around = results.${node.within}.sourceInfo;
        folder = around.outPath + "/${node.folder}";
      in
      if node.copied then { outPath = builtins.path { path = folder; name = "source"; }; }
      else around // { outPath = folder; };

  resultOf = key: node:
    let
      sourceInfo = sourceOf key node;
      outPath = sourceInfo.outPath + (if node.dir == "" then "" else "/${node.dir}");
      flake = import (outPath + "/flake.nix");
      function =
        if !isAttrs flake then fail { message = "${at key} is a ${kind flake}, not a set with outputs"; }
        else if !isFunction (flake.outputs or null) then fail { message = "${at key} has no function outputs"; hint = "Write: outputs = { self, nixpkgs }: { … };"; }
        else flake.outputs;
      # what the flake asks for and the lock does not have
      open' = filter (name: name != "self" && !(node.inputs ? ${name})) (attrNames ((flake.inputs or { }) // wanted));
      # those with a default need not be inputs
      wanted = words.keep (_: optional: !optional) (functionArgs function);
      inputs =
        if open' == [ ] then mapAttrs (_: target: results.${target}.value) node.inputs
        else fail {
          message = "the input ${head open'} of ${at key} is not in flake.lock";
          hint = "Run nix flake lock and commit flake.lock: only what is locked can be reviewed.";
          set = (flake.inputs or { }) // (if flake.inputs or { } ? ${head open'} then { } else flake);
          attribute = if flake.inputs or { } ? ${head open'} then head open' else "outputs";
        };
      given = function (inputs // { inherit self; });
      outputs = if key == "" then given // told given else given;
      self = outputs // sourceInfo // { inherit outPath inputs outputs sourceInfo; _type = "flake"; };
    in
    {
      inherit flake sourceInfo given outputs;
      value = if node.flake then self else sourceInfo // { inherit outPath sourceInfo; };
    };
  results = mapAttrs resultOf lock;
  at = key: if key == "" then "flake.nix" else "flake.nix of the input ${key}";

  # ---- hosts ---------------------------------------------------------------

  # Facts reach configurations that are evaluated already by evaluating them
  # again with one more argument, where the system can. `self` holds the same
  # ones, for hosts that look into each other.
  extend = node:
    if isAttrs node && isFunction (node.extendModules or null)
    then node.extendModules { specialArgs = { inherit fleet; }; }
    else node;
  told = given:
    if isAttrs (given.nixosConfigurations or null)
    then { nixosConfigurations = mapAttrs (_: extend) given.nixosConfigurations; }
    else { };

  root = results."".outputs; # with facts; what was written is in `given`, with its places

  # What colmena.lib.makeHive made.
  made = hive:
    if !(isAttrs hive && hive ? __schema && isAttrs (hive.nodes or null)) then fail {
      message = "the output colmenaHive is no hive";
      hint = "Write: colmenaHive = colmena.lib.makeHive { meta = { … }; … }; or call the plain hive colmena.";
      set = root;
      attribute = "colmenaHive";
    }
    else {
      names = attrNames hive.nodes;
      misnamed = { };
      settings = { name = "hive"; description = ""; machinesFile = null; allowApplyAll = true; } // hive.metaConfig or { };
      node = name: extend hive.nodes.${name};
    };

  plain = set: {
    names = attrNames set;
    misnamed = { };
    settings = { name = ""; description = ""; machinesFile = null; allowApplyAll = true; };
    node = name:
      if isAttrs set.${name} && set.${name} ? config then set.${name}
      else fail {
        message = "nixosConfigurations.${name} is a ${kind set.${name}}, not a NixOS configuration";
        hint = "Write: nixosConfigurations.${name} = nixpkgs.lib.nixosSystem { modules = [ … ]; };";
        set = results."".given.nixosConfigurations;
        attribute = name;
      };
  };
in
if root ? colmenaHive then made root.colmenaHive
else if root ? colmena then open { written = root.colmena; pure = true; }
else if root ? nixosConfigurations then plain root.nixosConfigurations
else fail {
  message = "the flake has no hosts";
  hint = "Its outputs need colmenaHive, colmena or nixosConfigurations; it has: ${list (attrNames root)}.";
  set = results."".flake;
  attribute = "outputs";
}
