# What a reviewer wants to know of a configuration, beside its derivation. What
# exists in a tree of any age, or nothing.
config:
let
  inherit (builtins)
    attrNames deepSeq filter getAttr hashString isAttrs isBool isList isPath isString
    listToAttrs map mapAttrs parseDrvName toJSON tryEval unsafeDiscardStringContext;

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

  # Where a secret comes from and goes to, never what it is.
  keyFacts = key: {
    path = plain key.path;
    user = plain key.user;
    group = plain key.group;
    permissions = plain key.permissions;
    upload_at = plain key.uploadAt;
    source = builtins.concatStringsSep " "
      (key.sources or (filter (source: key.${source} or null != null) [ "text" "keyFile" "keyCommand" ]));
    from = attempt "" (plain (if key.keyFile or null != null then key.keyFile else command key));
    digest = attempt "" (hashString "sha256" (toJSON [ (plain (key.text or null)) (command key) ]));
  };
  command = key: if key.keyCommand or null == null then "" else unsafeDiscardStringContext (toJSON key.keyCommand);

  etc = filter (e: e.enable or true) (valuesOf (config.environment.etc or { }));
  byTarget = f: listToAttrs (map (e: { name = plain e.target; value = f e; }) etc);
  firewall = config.networking.firewall or { };
  users = select (u: u.enable or true) (config.users.users or config.users.extraUsers or { });
  noKernel = config.boot.isContainer or false || !(config.boot.kernel.enable or true);
  kernel = config.boot.kernelPackages.kernel or null;
  names' = filter (i: i != "lo") (firewall.trustedInterfaces or [ ]);
in
{
  facts = {
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
    services = import ./services.nix { inherit attempt plain strings select; } config;
    warnings = attempt [ ] (strings (config.warnings or [ ]));
    keys = attempt { } (mapAttrs (_: keyFacts) (config.deployment.keys or { }));
  };

  # Texts in files of the repo: the caller reads them, where reading cannot
  # end the evaluation.
  files = {
    etc = attempt { } (listToAttrs (map (e: { name = plain e.target; value = plain e.source; })
      (filter (e: (e.enable or true) && (e.text or null) == null && isPath (e.source or null)) (valuesOf (config.environment.etc or { })))));
    keys = attempt { } (select (files: files != [ ]) (mapAttrs (_: u: strings (u.openssh.authorizedKeys.keyFiles or [ ]))
      (config.users.users or config.users.extraUsers or { })));
  };
}
