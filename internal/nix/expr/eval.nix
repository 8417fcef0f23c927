# Evaluates a hive or a flake: names of its hosts, their deployment settings,
# and for one host its system together with what a reviewer wants to know of it.
#
# Only package nix calls this. It must run on old and new nixpkgs alike, so it
# reads every attribute of a configuration with `or`, and asks nothing of
# nixpkgs but `lib`, `path` and nixos/lib/eval-config.nix.
{ input # a JSON file with what to evaluate, as a string; package nix has its shape
, mark # a word nobody can guess; starts what is meant for the caller
, host ? null # the host that `system`, `deployment` and `keys` are about
}:
let
  inherit (builtins)
    attrNames elem filter fromJSON isAttrs listToAttrs map readDir readFile
    stringLength substring toJSON trace unsafeDiscardStringContext;

  given = fromJSON (readFile (/. + input));
  words = import ./words.nix { inherit mark; inherit (given) file; };
  inherit (words) byName fail list;

  # Each file is read when somebody looks into that server, and not before.
  known = listToAttrs (map
    (file:
      let name = substring 0 (stringLength file - 5) file; in
      {
        inherit name;
        value = trace "${mark}${name}" (fromJSON (readFile (/. + "${given.facts}/${file}")));
      })
    (attrNames (readDir (/. + given.facts))));
  # Whoever looks into the set may depend on all the names in it.
  fleet.servers = words.note "names" known;
  # For our own options, which ask for one of them.
  server = name: words.note "has ${name}" (known.${name} or null);

  open = { written, pure }: import ./hive.nix { inherit words fleet server written pure; inherit (given) file; };
  hive =
    if given.lock == null then open { written = import (/. + given.file); pure = false; }
    else import ./flake.nix { inherit words fleet open; inherit (given) lock; };
  inherit (hive) names misnamed;
  settings = hive.settings // {
    machinesFile = if hive.settings.machinesFile == null then "" else toString hive.settings.machinesFile;
  };

  nodeOf = name:
    if elem name names then hive.node name
    else if misnamed ? ${name} then throw "${mark}${toJSON misnamed.${name}}"
    else fail {
      message = "the hive has no host ${toJSON name}";
      hint = "It has: ${list names}.";
    };

  # ---- deployment settings -------------------------------------------------

  # Whether an option has its default. What trees of today say of priorities,
  # older ones show by the file that the value comes from.
  untouched = option:
    if option ? highestPrio then option.highestPrio >= 1500
    else option ? files && option.files == option.declarations or null;

  # Missing settings are those of a configuration that is no Colmena host.
  deploymentOf = node:
    let
      deployment = node.config.deployment or { };
      unset = name: untouched (node.options.deployment.${name} or { });
      text = name: if unset name then "" else or' "" (deployment.${name} or null);
      or' = fallback: value: if value == null then fallback else value;
    in
    {
      targetHost = text "targetHost";
      localOnly = !unset "targetHost" && deployment ? targetHost && deployment.targetHost == null;
      targetUser = text "targetUser";
      targetPort = or' 0 (deployment.targetPort or null);
      tags = deployment.tags or [ ];
      buildOnTarget = deployment.buildOnTarget or false;
      allowLocalDeployment = deployment.allowLocalDeployment or false;
      replaceUnknownProfiles = deployment.replaceUnknownProfiles or true;
      privilegeEscalationCommand = deployment.privilegeEscalationCommand or [ "sudo" "-H" "--" ];
      sshOptions = deployment.sshOptions or [ ];
    };

  systemOf = withReview: name:
    let
      node = nodeOf name;
      inherit (node) config;
      failed = map (a: unsafeDiscardStringContext a.message) (filter (a: !a.assertion) (config.assertions or [ ]));
      inherit (config.system.build) toplevel;
      review = import ./review.nix config;
    in
    if failed != [ ] then { inherit failed; }
    else {
      system = {
        host = name;
        drv_path = unsafeDiscardStringContext toplevel.drvPath;
        out_path = unsafeDiscardStringContext toplevel.outPath;
        deployment = deploymentOf node;
        machines_file = settings.machinesFile;
      } // (if withReview then review.facts else { });
      files = if withReview then review.files else { };
    };
in
{
  names = { inherit names misnamed settings; };
  start = { inherit names misnamed; }
    // (if builtins.length names == 1 && misnamed == { } then { only = systemOf true (builtins.head names); } else { });
  deployments = {
    inherit misnamed settings;
    hosts = byName names (name: deploymentOf (nodeOf name));
  };
  deployment = deploymentOf (nodeOf host);
  keys = builtins.mapAttrs
    (_: key: { inherit (key) text keyFile keyCommand path user group permissions uploadAt; })
    ((nodeOf host).config.deployment.keys or { });
  system = systemOf true host;
  bare = systemOf false host;
}
