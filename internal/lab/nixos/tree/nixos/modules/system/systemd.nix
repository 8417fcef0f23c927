{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.systemd;
  sys = import ../../lib/systemd-lib.nix { inherit lib pkgs config; };
  section = description: mkOption { type = types.attrsOf sys.unitOption; default = { }; inherit description; };
  set = type: description: mkOption { type = types.attrsOf type; default = { }; inherit description; };
  shown = v: if builtins.isBool v then lib.boolToString v else toString v;
  manager = lib.concatStrings (lib.mapAttrsToList (k: v: lib.concatMapStrings (x: "${k}=${shown x}\n") (lib.toList v)) cfg.settings.Manager);
in
{
  options.systemd = {
    package = mkOption { type = types.package; default = pkgs.systemd; description = "The systemd package."; };
    units = mkOption {
      default = { };
      description = "All units, by full name, with their text.";
      type = types.attrsOf (types.submodule ({ name, config, ... }: {
        options = sys.concreteOptions;
        config.unit = lib.mkDefault (sys.makeUnit name config);
      }));
    };
    packages = mkOption { type = types.listOf types.package; default = [ ]; description = "Packages that bring units."; };
    targets = set sys.targetType "Targets.";
    services = set sys.serviceType "Services.";
    sockets = set sys.socketType "Sockets.";
    timers = set sys.timerType "Timers.";
    paths = set sys.pathType "Path units.";
    slices = set sys.sliceType "Slices.";
    mounts = mkOption { type = types.listOf sys.mountType; default = [ ]; description = "Mount units."; };
    user = {
      services = mkOption { type = types.attrsOf types.raw; default = { }; description = "Not supported: the lab's hosts have no user managers."; };
      units = mkOption { type = types.attrsOf types.raw; default = { }; description = "Not supported."; };
    };
    defaultUnit = mkOption { type = types.str; default = "multi-user.target"; description = "The unit that a boot starts."; };
    settings.Manager = section "The [Manager] section of system.conf; a change makes systemd re-execute itself.";
    extraConfig = mkOption { type = types.lines; default = ""; description = "Text added to system.conf."; };
    globalEnvironment = mkOption { type = types.attrsOf (types.nullOr types.str); default = { }; description = "Environment variables of all services."; };
  };

  config = {
    environment.etc = {
      "systemd/system".source = sys.generateUnits {
        name = "system-units";
        inherit (cfg) units packages;
        aliases = { "default.target" = cfg.defaultUnit; "ctrl-alt-del.target" = "reboot.target"; };
      };
      "systemd/system.conf".text = "[Manager]\n${manager}${cfg.extraConfig}";
    };

    systemd.units = lib.mkMerge [
      (lib.mapAttrs' (_: d: lib.nameValuePair d.name (sys.targetToUnit d)) cfg.targets)
      (lib.mapAttrs'
        (_: d: lib.nameValuePair d.name (sys.serviceToUnit (d // { environment = cfg.globalEnvironment // d.environment; })))
        cfg.services)
      (lib.mapAttrs' (_: d: lib.nameValuePair d.name (sys.socketToUnit d)) cfg.sockets)
      (lib.mapAttrs' (_: d: lib.nameValuePair d.name (sys.timerToUnit d)) cfg.timers)
      (lib.mapAttrs' (_: d: lib.nameValuePair d.name (sys.pathToUnit d)) cfg.paths)
      (lib.mapAttrs' (_: d: lib.nameValuePair d.name (sys.sliceToUnit d)) cfg.slices)
      (lib.listToAttrs (map (d: lib.nameValuePair d.name (sys.mountToUnit d)) cfg.mounts))
    ];

    systemd.timers = lib.mapAttrs
      (_: service: {
        wantedBy = [ "timers.target" ];
        timerConfig.OnCalendar = service.startAt;
      })
      (lib.filterAttrs (_: s: s.enable && s.startAt != [ ]) cfg.services);

    # The targets that units hang themselves on must be the system's own: only
    # units below /etc/systemd/system are looked at by a switch, and new units
    # come up because their active target is started again. All other units
    # (journald, dbus, tmpfiles, …) are the host image's.
    systemd.targets = {
      sysinit = {
        description = "System Initialization";
        conflicts = [ "emergency.service" "emergency.target" ];
        wants = [ "local-fs.target" "swap.target" ];
        after = [ "local-fs.target" "swap.target" "emergency.service" "emergency.target" ];
        unitConfig.RefuseManualStart = false;
      };
      basic = {
        description = "Basic System";
        requires = [ "sysinit.target" ];
        wants = [ "sockets.target" "timers.target" "paths.target" "slices.target" ];
        after = [ "sysinit.target" "sockets.target" "paths.target" "slices.target" ];
      };
      multi-user = {
        description = "Multi-User System";
        requires = [ "basic.target" ];
        conflicts = [ "rescue.service" "rescue.target" ];
        after = [ "basic.target" "rescue.service" "rescue.target" ];
        unitConfig.AllowIsolate = true;
      };
      network-online = {
        description = "Network is Online";
        after = [ "network.target" ];
      };
      network = {
        description = "Network";
        after = [ "network-pre.target" ];
        wantedBy = [ "multi-user.target" ];
        unitConfig.RefuseManualStart = false;
      };
      network-pre = {
        description = "Preparation for Network";
      };
      local-fs = {
        description = "Local File Systems";
        after = [ "local-fs-pre.target" ];
        conflicts = [ "shutdown.target" ];
        unitConfig.DefaultDependencies = false;
      };
      sockets.description = "Socket Units";
      timers = {
        description = "Timer Units";
        conflicts = [ "shutdown.target" ];
        before = [ "shutdown.target" ];
        unitConfig.DefaultDependencies = false;
      };
      paths.description = "Path Units";
    };
  };
}
