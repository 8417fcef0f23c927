# What a reviewer wants to know of services beyond their units: containers,
# sites, certificates, databases, mounts, secrets by name, groups. What exists in
# a tree of any age, or nothing; what is empty is left out.
{ attempt, plain, strings, select }:
config:
let
  inherit (builtins) attrNames filter getAttr head isList isPath listToAttrs map mapAttrs match pathExists;

  each = f: set: mapAttrs f (if builtins.isAttrs set then set else { });
  yes = value: if value then "yes" else "";
  given = set: select (v: v != "" && v != [ ] && v != { }) set;

  oci = config.virtualisation.oci-containers or { };
  nginx = config.services.nginx or { };
  postgresql = config.services.postgresql or { };
  ssh = config.services.openssh or { };
  sudo = if config.security.sudo-rs.enable or false then config.security.sudo-rs else config.security.sudo or { };

  container = name: c: given {
    image = plain (c.image or null);
    ports = strings (c.ports or [ ]);
    volumes = strings (c.volumes or [ ]);
    unit = plain (c.serviceName or "${oci.backend or "podman"}-${name}") + ".service";
  };

  listens = l: "${plain (l.addr or "")}:${plain (l.port or null)}";
  site = name: h: given {
    names = filter (n: n != "") (strings ([ (if h.serverName or null != null then h.serverName else name) ] ++ h.serverAliases or [ ]));
    tls =
      if h.forceSSL or false || h.enableSSL or false then "forced"
      else if h.onlySSL or false then "only"
      else if h.addSSL or false then "yes" else "";
    acme = yes (h.enableACME or false || h.useACMEHost or null != null);
    listen = map listens (h.listen or [ ]);
    default = yes (h.default or false);
    proxies = filter (p: p != "") (map (l: plain ((getAttr l h.locations).proxyPass or null)) (attrNames (h.locations or { })));
    redirect = plain (h.globalRedirect or null);
  };

  certificate = name: c: given {
    names = [ (plain (c.domain or name)) ] ++ strings (if isList (c.extraDomainNames or null) then c.extraDomainNames else [ ]);
    dns = plain (c.dnsProvider or null);
    group = plain (c.group or null);
  };

  major = version: let m = match "([0-9]+(\\.[0-9]+)?).*" version; in
    if m == null then version
    # until 9.6 the second number counts as well
    else let n = match "([0-9]+).*" (head m); in if builtins.stringLength (head n) > 1 then head n else head m;
  cluster = {
    version = plain (postgresql.package.version or null);
    major = plain (postgresql.package.psqlSchema or (major (postgresql.package.version or "")));
    data_dir = plain (postgresql.dataDir or null);
  };

  mount = _: fs: given {
    device = plain (if fs.device or null != null then fs.device else fs.label or null);
    kind = plain (fs.fsType or null);
    options = strings (fs.options or [ ]);
    format = yes (fs.autoFormat or false);
  };
  mounts = listToAttrs (map (name: let fs = config.fileSystems.${name}; in { name = plain (fs.mountPoint or name); value = mount name fs; })
    (filter (name: (config.fileSystems.${name}).enable or true) (attrNames (config.fileSystems or { }))));

  # Names and places of secrets, and a hash of the encrypted file. Never more.
  secret = _: s: given {
    path = plain (s.path or null);
    owner = plain (s.owner or null);
    group = plain (s.group or null);
    mode = plain (s.mode or null);
    restarts = strings (s.restartUnits or [ ]);
    reloads = strings (s.reloadUnits or [ ]);
    digest = if isPath (s.sopsFile or null) && pathExists s.sopsFile then plain (s.sopsFileHash or null) else "";
  };

  facts = {
    containers = attempt { } (each container (oci.containers or { }));
    sites = attempt { } (if nginx.enable or false then each site (nginx.virtualHosts or { }) else { });
    certificates = attempt { } (each certificate (config.security.acme.certs or { }));
    postgresql = attempt { } (if postgresql.enable or false then cluster else { });
    mounts = attempt { } mounts;
    secrets = attempt { } (each secret (config.age.secrets or { }) // each secret (config.sops.secrets or { }));
    groups = attempt { } (select (members: members != [ ]) (each (_: g: strings (g.members or [ ])) (config.users.groups or { })));
    ssh_listen = attempt [ ] (if ssh.enable or false then map listens (ssh.listenAddresses or [ ]) else [ ]);
    # Files that are checked while they are built, so that their texts are not in environment.etc.
    texts = attempt { } (given {
      "sudoers" = if sudo.enable or false then plain (sudo.configFile or null) else "";
      "ssh/sshd_config" = if ssh.enable or false then plain (ssh.extraConfig or null) else "";
    });
  };
in
given facts
