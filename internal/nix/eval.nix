# Evaluates a Colmena hive: names of its hosts, their deployment settings, and
# for one host its system together with what a reviewer wants to know of it.
#
# Only package nix calls this. It must run on old and new nixpkgs alike, so it
# reads every attribute of a configuration with `or`, and asks nothing of
# nixpkgs but `lib`, `path` and nixos/lib/eval-config.nix.
{ hive # path of the hive, as a string
, facts # folder with one <server>.json for each server, as a string
, mark # a word nobody can guess; starts what is meant for the caller
, host ? null # the host that `system` and `deployment` are about
}:
let
  inherit (builtins)
    attrNames deepSeq elem filter fromJSON functionArgs getAttr
    intersectAttrs isAttrs isBool isFunction isList isPath isString
    listToAttrs map mapAttrs match parseDrvName readDir readFile
    stringLength substring toJSON trace tryEval typeOf
    unsafeDiscardStringContext unsafeGetAttrPos;

  # ---- words to the caller -------------------------------------------------

  # An error in words of our own, with the place of an attribute if there is one.
  fail = { message, hint ? "", set ? { }, attribute ? "" }:
    let at = unsafeGetAttrPos attribute set; in
    throw "${mark}${toJSON {
      inherit message hint;
      file = if at == null then hive else toString at.file;
      line = if at == null then 0 else at.line;
      column = if at == null then 0 else at.column;
    }}";

  kind = value: { lambda = "function"; int = "number"; float = "number"; bool = "truth value"; }.${typeOf value} or (typeOf value);
  list = words: builtins.concatStringsSep ", " words;

  # ---- facts ---------------------------------------------------------------

  # Each file is read when somebody looks into that server, and not before.
  fleet.servers = listToAttrs (map
    (file:
      let name = substring 0 (stringLength file - 5) file; in
      {
        inherit name;
        value = trace "${mark}${name}" (fromJSON (readFile (/. + "${facts}/${file}")));
      })
    (attrNames (readDir (/. + facts))));

  # ---- the hive ------------------------------------------------------------

  # Hands a function those of the arguments that it names, or all if it names none.
  callWith = arguments: f:
    let named = functionArgs f; in
    f (if named == { } then arguments else intersectAttrs named arguments);

  imported = import (/. + hive);
  called = if isFunction imported then callWith { inherit fleet; } imported else imported;
  written =
    if isAttrs called then called
    else fail {
      message = "the hive is a ${kind called}, not a set of hosts";
      hint = "Write { meta = { … }; host-name = { … }; } or a function of { fleet, ... } that returns it.";
    };

  metaKeys = [ "allowApplyAll" "description" "machinesFile" "name" "nixpkgs" "nodeNixpkgs" "nodeSpecialArgs" "specialArgs" ];
  metaName = if written ? meta then "meta" else "network";
  meta =
    let
      value = written.${metaName} or { };
      unknown = filter (k: !elem k metaKeys) (attrNames value);
    in
    if written ? meta && written ? network then fail {
      message = "the hive has both meta and network";
      hint = "They are two names of one thing: keep meta.";
      set = written;
      attribute = "network";
    }
    else if !isAttrs value then fail {
      message = "${metaName} is a ${kind value}, not a set";
      hint = "meta holds settings of the whole hive and cannot be a host's name.";
      set = written;
      attribute = metaName;
    }
    # `network` may carry what other tools put there
    else if metaName == "meta" && unknown != [ ] then fail {
      message = "meta.${builtins.head unknown} is not known";
      hint = "meta has: ${list metaKeys}.";
      set = value;
      attribute = builtins.head unknown;
    }
    else value;

  reserved = [ "meta" "network" "defaults" ];
  names =
    let
      all = filter (n: !elem n reserved) (attrNames written);
      bad = filter (n: match "[a-zA-Z0-9_][a-zA-Z0-9_.-]*" n == null) all;
    in
    if bad == [ ] then builtins.seq meta all
    else fail {
      message = "${toJSON (builtins.head bad)} cannot be a host's name";
      hint = "Names are letters, digits, '-', '_' and '.', and start with a letter or digit.";
      set = written;
      attribute = builtins.head bad;
    };

  perHost = key: name:
    let value = meta.${key} or { }; in
    if isAttrs value then value.${name} or null
    else fail {
      message = "meta.${key} is a ${kind value}, not a set by host";
      set = meta;
      attribute = key;
    };

  # ---- nixpkgs -------------------------------------------------------------

  # A package set, and whether the user made it: then its settings count.
  packages = where: value:
    let
      # pinned, so that nothing is read from the environment or a home folder
      plain = callWith { overlays = [ ]; config = { }; };
      ready = { set = value; own = true; };
      opened = import value;
    in
    if isFunction value then { set = plain value; own = false; }
    else if isAttrs value && value ? path && value ? lib then ready
    else if isPath value || isString value || isAttrs value && value ? outPath then
      { set = if isFunction opened then plain opened else opened; own = !isFunction opened; }
    else fail {
      message = "${where} is a ${kind value} that is no nixpkgs";
      hint = "Give a path (<nixpkgs>), a function, or a ready set (import <nixpkgs> { }).";
      set = meta;
      attribute = "nixpkgs";
    };

  common = packages "meta.nixpkgs" (meta.nixpkgs or <nixpkgs>);
  packagesFor = name:
    let own = perHost "nodeNixpkgs" name; in
    if own == null then common else packages "meta.nodeNixpkgs.${name}" own;

  # ---- hosts ---------------------------------------------------------------

  located = module:
    if isPath module || isString module then module else { _file = hive; imports = [ module ]; };
  modulesOf = value: map located (if isList value then value else [ value ]);

  deploymentModule = name: { lib, ... }:
    let
      inherit (lib) mkOption types;
      option = type: default: description: mkOption { inherit type default description; };
      own = fleet.servers.${name};
    in
    {
      _file = "deployment options";
      options.deployment = {
        targetHost = option (types.nullOr types.str)
          (if !(fleet.servers ? ${name}) then null else if own.ipv4 or "" != "" then own.ipv4 else own.ipv6 or null)
          "Address for SSH; by default that of the server with the host's name.";
        targetPort = option (types.nullOr types.int) null "Port for SSH; null: as flotilla.yaml says.";
        targetUser = option (types.nullOr types.str) null "User for SSH; null: as flotilla.yaml says.";
        tags = option (types.listOf types.str) [ ] "Words to select the host by, with @word.";
        buildOnTarget = option types.bool false "Whether the host builds its own system.";
        allowLocalDeployment = option types.bool false "Whether the host may be deployed from itself.";
        replaceUnknownProfiles = option types.bool true "Whether a system that nobody here knows may be replaced.";
        privilegeEscalationCommand = option (types.listOf types.str) [ "sudo" "-H" "--" ] "How a user that is not root becomes root.";
        sshOptions = option (types.listOf types.str) [ ] "Options for ssh.";
        keys = mkOption {
          default = { };
          description = "Files that are put on the host outside the store.";
          type = types.attrsOf (types.submodule ({ name, config, ... }: {
            options = {
              name = option types.str name "Name of the file.";
              text = option (types.nullOr types.str) null "The content.";
              keyFile = option (types.nullOr types.path) null "A file with the content.";
              keyCommand = option (types.nullOr (types.listOf types.str)) null "A command that prints the content.";
              destDir = option types.str "/run/keys" "Folder on the host.";
              path = option types.str "${config.destDir}/${config.name}" "Path on the host.";
              user = option types.str "root" "Owner.";
              group = option types.str "root" "Group.";
              permissions = option types.str "0600" "Mode, octal.";
              uploadAt = option (types.enum [ "pre-activation" "post-activation" ]) "pre-activation" "When it is put there.";
            };
          }));
        };
      };
    };

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
      takes = functionArgs evalConfig;
      modern = takes ? specialArgs;
      special = { inherit name nodes fleet; }
        // meta.specialArgs or { }
        // (let own = perHost "nodeSpecialArgs" name; in if own == null then { } else own);
    in
    evalConfig ({
      system = pkgs.set.stdenv.hostPlatform.system or pkgs.set.system or builtins.currentSystem;
      modules = [ (deploymentModule name) ]
        ++ (if pkgs.own then [ (packagesModule pkgs.set) ] else [ ])
        ++ (if modern && !checked then [{ _module.check = false; }] else [ ])
        ++ (if written ? defaults then modulesOf written.defaults else [ ])
        ++ modulesOf written.${name};
    } // (if modern then { specialArgs = special; } else { extraArgs = special; check = checked; }));

  # What other hosts may look into. Not checked for undeclared options: that is
  # done once, for the host itself.
  nodes = listToAttrs (map (name: { inherit name; value = evaluate false name; }) names);

  known = name:
    if elem name names then evaluate true name
    else fail {
      message = "the hive has no host ${toJSON name}";
      hint = "It has: ${list names}.";
    };

  # ---- deployment settings -------------------------------------------------

  deploymentOf = node:
    let
      inherit (node.config) deployment;
      byDefault = (node.options.deployment.targetHost.highestPrio or 100) >= 1500;
      or' = fallback: value: if value == null then fallback else value;
    in
    {
      targetHost = if byDefault then "" else or' "" deployment.targetHost;
      targetUser = or' "" deployment.targetUser;
      targetPort = or' 0 deployment.targetPort;
      inherit (deployment)
        tags buildOnTarget allowLocalDeployment replaceUnknownProfiles
        privilegeEscalationCommand sshOptions;
    };

  # ---- review facts --------------------------------------------------------

  attempt = fallback: value:
    let r = tryEval (deepSeq value value); in
    if r.success then r.value else fallback;
  select = f: set: listToAttrs (map (name: { inherit name; value = getAttr name set; }) (filter (n: f (getAttr n set)) (attrNames set)));
  strings = map plain;
  plain = value: unsafeDiscardStringContext (if value == null then "" else toString value);
  # the store path of a file, also of one that is still in the repo
  stored = value: unsafeDiscardStringContext (if value == null then "" else if isPath value then "${value}" else toString value);
  valuesOf = value: if isAttrs value then map (n: value.${n}) (attrNames value) else value;

  unitFacts = unit: {
    text = plain (unit.text or null);
    enabled = unit.enable or true;
    drop_in = unit.overrideStrategy or "" == "asDropin";
    # what the text was made of: derivations and files
    uses = attrNames (builtins.getContext (if unit.text or null == null then "" else unit.text));
    wanted_by = strings (unit.wantedBy or [ ] ++ unit.requiredBy or [ ] ++ unit.upheldBy or [ ]);
  };

  etcText = entry:
    if entry.text or null != null then plain entry.text
    else if isAttrs (entry.source or null) && isString (entry.source.text or null) then plain entry.source.text
    else null;

  portsOf = fw: protocol:
    strings (fw."allowed${protocol}Ports" or [ ])
    ++ map (r: "${toString r.from}-${toString r.to}") (fw."allowed${protocol}PortRanges" or [ ]);
  openIn = fw: { tcp = portsOf fw "TCP"; udp = portsOf fw "UDP"; };

  setting = value:
    if isBool value then (if value then "yes" else "no")
    else if isList value then builtins.concatStringsSep " " (map setting value)
    else if isAttrs value && !(value ? outPath) then unsafeDiscardStringContext (toJSON value)
    else plain value;

  sshdFacts = ssh: {
    enabled = ssh.enable or false;
    ports = ssh.ports or [ ];
    settings = mapAttrs (_: setting) (select (v: v != null) (ssh.settings or {
      PermitRootLogin = ssh.permitRootLogin or null;
      PasswordAuthentication = ssh.passwordAuthentication or null;
    }));
  };

  packageFacts = p: {
    name = plain (p.pname or (parseDrvName p.name).name);
    version = plain (p.version or (parseDrvName p.name).version);
  };

  userFacts = user: {
    uid = user.uid or null;
    group = plain (user.group or "");
    groups = strings (user.extraGroups or [ ]);
    normal = user.isNormalUser or false;
    shell = plain (user.shell or null);
    keys = strings (user.openssh.authorizedKeys.keys or [ ]);
  };

  # What exists in a tree of any age, or nothing.
  review = config:
    let
      etc = filter (e: e.enable or true) (valuesOf (config.environment.etc or { }));
      byTarget = f: listToAttrs (map (e: { name = plain e.target; value = f e; }) etc);
      firewall = config.networking.firewall or { };
      users = select (u: u.enable or true) (config.users.users or config.users.extraUsers or { });
      noKernel = config.boot.isContainer or false || !(config.boot.kernel.enable or true);
      kernel = config.boot.kernelPackages.kernel or null;
      names' = filter (i: i != "lo") (firewall.trustedInterfaces or [ ]);
    in
    {
      units = attempt { } (mapAttrs (_: unitFacts) (config.systemd.units or { }));
      etc = attempt { } (byTarget (e: { text = etcText e; source = stored (e.source or null); mode = plain (e.mode or ""); }));
      packages = attempt [ ] (map packageFacts (filter isAttrs (config.environment.systemPackages or [ ])));
      firewall = attempt { } {
        enabled = firewall.enable or false;
        ports = openIn firewall;
        interfaces = mapAttrs (_: openIn) (firewall.interfaces or { })
          // listToAttrs (map (name: { inherit name; value = { tcp = [ "all" ]; udp = [ "all" ]; }; }) names');
      };
      users = attempt { } (mapAttrs (_: userFacts) users);
      sshd = attempt { } (sshdFacts (config.services.openssh or { }));
      boot = attempt { } {
        kernel = if noKernel then "" else plain kernel;
        kernel_version = if noKernel then "" else plain (kernel.version or "");
        initrd = if noKernel then "" else plain (config.system.build.initialRamdisk or null);
        modules = if noKernel then "" else plain (config.system.modulesTree or null);
        params = if noKernel then [ ] else strings (config.boot.kernelParams or [ ]);
      };
      host_name = attempt "" (plain (config.networking.hostName or ""));
      state_version = attempt "" (plain (config.system.stateVersion or ""));
      images = attempt { } (mapAttrs (_: c: plain c.image) (config.virtualisation.oci-containers.containers or { }));
      warnings = attempt [ ] (strings (config.warnings or [ ]));
    };

  # Texts in files of the repo: the caller reads them, where reading cannot
  # end the evaluation.
  files = config: {
    etc = attempt { } (listToAttrs (map (e: { name = plain e.target; value = plain e.source; })
      (filter (e: (e.enable or true) && (e.text or null) == null && isPath (e.source or null)) (valuesOf (config.environment.etc or { })))));
    keys = attempt { } (select (files: files != [ ]) (mapAttrs (_: u: strings (u.openssh.authorizedKeys.keyFiles or [ ]))
      (config.users.users or config.users.extraUsers or { })));
  };

  systemOf = withReview: name:
    let
      node = known name;
      inherit (node) config;
      failed = map (a: plain a.message) (filter (a: !a.assertion) (config.assertions or [ ]));
      inherit (config.system.build) toplevel;
    in
    if failed != [ ] then { inherit failed; }
    else {
      system = {
        host = name;
        drv_path = unsafeDiscardStringContext toplevel.drvPath;
        out_path = unsafeDiscardStringContext toplevel.outPath;
        deployment = deploymentOf node;
      } // (if withReview then review config else { });
      files = if withReview then files config else { };
    };
in
{
  inherit names;
  deployments = listToAttrs (map (name: { inherit name; value = deploymentOf (known name); }) names);
  deployment = deploymentOf (known host);
  system = systemOf true host;
  bare = systemOf false host;
}
