# Unit options and the text of unit files.
{ lib, pkgs, config }:
let
  inherit (lib) mkOption types optionalString concatStringsSep concatMapStrings;
  systemd = config.systemd.package;

  # one value, or a list that stands for the key several times
  unitOption = lib.mkOptionType {
    name = "systemd option";
    description = "systemd option";
    check = v: (types.either atom (types.listOf atom)).check v;
    merge = loc: defs:
      if lib.any (d: builtins.isList d.value) defs
      then lib.concatMap (d: lib.toList d.value) defs
      else lib.mergeEqualOption loc defs;
  };
  atom = types.nullOr (types.oneOf [ types.bool types.int types.float types.str types.path types.package ]);

  strings = default: description: mkOption { type = types.listOf types.str; inherit default description; };
  section = description: mkOption { type = types.attrsOf unitOption; default = { }; inherit description; };
  flag = default: description: mkOption { type = types.bool; inherit default description; };
  script = description: mkOption { type = types.lines; default = ""; inherit description; };
  triggers = description: mkOption { type = types.listOf types.unspecified; default = [ ]; inherit description; };

  show = v:
    if builtins.isBool v then lib.boolToString v
    else toString v;
  keys = set: concatMapStrings
    (k:
      let v = set.${k}; in
      if v == null then ""
      else concatMapStrings (x: "${k}=${show x}\n") (lib.toList v))
    (builtins.attrNames set);

  safeName = builtins.replaceStrings [ "@" ":" "\\" "[" "]" ] [ "-" "-" "-" "" "" ];

  triggerFile = kind: name: values:
    "${pkgs.writeText "${kind}-${safeName name}" (toString (lib.flatten (map (x: if builtins.isPath x then "${x}" else x) values)))}";

  jobScript = name: text:
    "${pkgs.writeTextFile {
      name = "unit-script-${safeName name}";
      executable = true;
      destination = "/bin/${safeName name}";
      text = "#!${pkgs.runtimeShell}\nset -e\n${text}\n";
    }}/bin/${safeName name}";
in
rec {
  inherit unitOption safeName jobScript;

  sharedOptions = {
    enable = flag true "Whether the unit is enabled; false masks it.";
    overrideStrategy = mkOption { type = types.enum [ "asDropinIfExists" "asDropin" ]; default = "asDropinIfExists"; description = "Whether the text is a file of its own or a drop-in."; };
    requiredBy = strings [ ] "Units that require this one.";
    upheldBy = strings [ ] "Units that keep this one running.";
    wantedBy = strings [ ] "Units that want this one.";
    aliases = strings [ ] "Other names.";
  };

  concreteOptions = sharedOptions // {
    text = mkOption { type = types.nullOr types.str; default = null; description = "The unit's text."; };
    unit = mkOption { type = types.package; internal = true; description = "The generated unit."; };
  };

  commonOptions = sharedOptions // {
    description = mkOption { type = types.singleLineStr; default = ""; description = "What the unit is."; };
    documentation = strings [ ] "URIs of documentation.";
    requires = strings [ ] "Units started with this one; it stops when they do.";
    wants = strings [ ] "Units started with this one.";
    upholds = strings [ ] "Units kept running while this one is.";
    after = strings [ ] "Units that start before this one.";
    before = strings [ ] "Units that start after this one.";
    bindsTo = strings [ ] "Like requires, and stops when they stop for any reason.";
    partOf = strings [ ] "Units whose stop and restart extends to this one.";
    conflicts = strings [ ] "Units that are stopped when this one starts.";
    requisite = strings [ ] "Units that must run already.";
    unitConfig = section "The [Unit] section.";
    onFailure = strings [ ] "Units started when this one fails.";
    onSuccess = strings [ ] "Units started when this one ends well.";
    startLimitBurst = mkOption { type = types.nullOr types.int; default = null; description = "Starts allowed in the interval."; };
    startLimitIntervalSec = mkOption { type = types.nullOr types.int; default = null; description = "The interval of the start limit."; };
    restartTriggers = triggers "Anything here that changes restarts the unit.";
    reloadTriggers = triggers "Anything here that changes reloads the unit.";
    name = mkOption { type = types.str; internal = true; description = "The unit's full name."; };
  };

  serviceOptions = {
    environment = mkOption { type = types.attrsOf (types.nullOr (types.oneOf [ types.str types.path types.package ])); default = { }; description = "Environment variables."; };
    path = mkOption { type = types.listOf (types.oneOf [ types.package types.str ]); default = [ ]; description = "Packages in the service's PATH."; };
    enableDefaultPath = flag true "Whether coreutils, findutils, grep, sed and systemd are in PATH.";
    enableStrictShellChecks = flag false "No effect.";
    serviceConfig = section "The [Service] section.";
    script = script "Shell commands of the main process.";
    scriptArgs = mkOption { type = types.str; default = ""; description = "Arguments of script."; };
    preStart = script "Shell commands before the main process.";
    postStart = script "Shell commands after the start.";
    reload = script "Shell commands of a reload.";
    preStop = script "Shell commands that stop the service.";
    postStop = script "Shell commands after the stop.";
    jobScripts = mkOption { type = types.coercedTo types.path lib.singleton (types.listOf types.path); internal = true; default = [ ]; description = "Scripts of the service."; };
    restartIfChanged = flag true "Whether a switch restarts the service when it changed.";
    reloadIfChanged = flag false "Whether a switch reloads instead of restarting.";
    stopIfChanged = flag true "Whether a switch stops it with the old configuration and starts it with the new, instead of one restart.";
    notSocketActivated = flag false "Whether a changed service is started even if it has a socket.";
    startAt = mkOption { type = types.either types.str (types.listOf types.str); default = [ ]; apply = lib.toList; description = "When a timer starts it."; };
    confinement.enable = flag false "No effect.";
  };

  # what [Unit] says because of the other options
  unitDefaults = { name, config, ... }: {
    config.unitConfig = lib.optionalAttrs (config.description != "") { Description = config.description; }
      // lib.filterAttrs (_: v: v != [ ] && v != "" && v != null) {
      Documentation = toString config.documentation;
      Requires = toString config.requires;
      Wants = toString config.wants;
      Upholds = toString config.upholds;
      After = toString config.after;
      Before = toString config.before;
      BindsTo = toString config.bindsTo;
      PartOf = toString config.partOf;
      Conflicts = toString config.conflicts;
      Requisite = toString config.requisite;
      OnFailure = toString config.onFailure;
      OnSuccess = toString config.onSuccess;
      StartLimitBurst = config.startLimitBurst;
      StartLimitIntervalSec = config.startLimitIntervalSec;
      X-Restart-Triggers = if config.restartTriggers == [ ] then null else triggerFile "X-Restart-Triggers" config.name config.restartTriggers;
      X-Reload-Triggers = if config.reloadTriggers == [ ] then null else triggerFile "X-Reload-Triggers" config.name config.reloadTriggers;
    };
  };

  named = suffix: { name, ... }: { config.name = "${name}.${suffix}"; };

  serviceModule = { name, config, ... }: {
    imports = [ (named "service") unitDefaults ];
    options = commonOptions // serviceOptions;
    config = {
      path = lib.mkIf config.enableDefaultPath (lib.mkAfter [ pkgs.coreutils pkgs.findutils pkgs.gnugrep pkgs.gnused systemd ]);
      environment.PATH = lib.mkIf (config.path != [ ]) "${lib.makeBinPath config.path}:${lib.makeSearchPath "sbin" config.path}";
      serviceConfig = lib.mkMerge [
        (lib.mkIf (config.preStart != "") { ExecStartPre = [ (jobScript "${name}-pre-start" config.preStart) ]; })
        (lib.mkIf (config.script != "") { ExecStart = jobScript "${name}-start" config.script + " " + config.scriptArgs; })
        (lib.mkIf (config.postStart != "") { ExecStartPost = [ (jobScript "${name}-post-start" config.postStart) ]; })
        (lib.mkIf (config.reload != "") { ExecReload = jobScript "${name}-reload" config.reload; })
        (lib.mkIf (config.preStop != "") { ExecStop = jobScript "${name}-pre-stop" config.preStop; })
        (lib.mkIf (config.postStop != "") { ExecStopPost = jobScript "${name}-post-stop" config.postStop; })
      ];
    };
  };
  serviceType = types.submodule serviceModule;
  targetType = types.submodule { imports = [ (named "target") unitDefaults ]; options = commonOptions; };
  timerType = types.submodule { imports = [ (named "timer") unitDefaults ]; options = commonOptions // { timerConfig = section "The [Timer] section."; }; };
  pathType = types.submodule { imports = [ (named "path") unitDefaults ]; options = commonOptions // { pathConfig = section "The [Path] section."; }; };
  sliceType = types.submodule { imports = [ (named "slice") unitDefaults ]; options = commonOptions // { sliceConfig = section "The [Slice] section."; }; };
  socketType = types.submodule {
    imports = [ (named "socket") unitDefaults ];
    options = commonOptions // {
      listenStreams = strings [ ] "Stream addresses.";
      listenDatagrams = strings [ ] "Datagram addresses.";
      socketConfig = section "The [Socket] section.";
    };
  };
  mountType = types.submodule ({ config, ... }: {
    imports = [ unitDefaults ];
    options = commonOptions // {
      what = mkOption { type = types.str; description = "The device."; };
      where = mkOption { type = types.str; description = "The mount point."; };
      type = mkOption { type = types.str; default = ""; description = "The type of the file system."; };
      options = mkOption { type = types.commas; default = ""; description = "Mount options."; };
      mountConfig = section "The [Mount] section.";
    };
    config = {
      name = "${escapePath config.where}.mount";
      mountConfig = { What = config.what; Where = config.where; }
        // lib.optionalAttrs (config.type != "") { Type = config.type; }
        // lib.optionalAttrs (config.options != "") { Options = config.options; };
    };
  });

  escapePath = path:
    let trimmed = lib.removePrefix "/" (lib.removeSuffix "/" path); in
    if trimmed == "" then "-" else builtins.replaceStrings [ "-" "/" ] [ "\\x2d" "-" ] trimmed;

  withInstall = def: text: text + optionalString (def.wantedBy != [ ]) "\n[Install]\nWantedBy=${toString def.wantedBy}\n";

  toUnit = def: sections: {
    inherit (def) enable overrideStrategy requiredBy upheldBy wantedBy aliases;
    text = withInstall def ("[Unit]\n${keys def.unitConfig}" + sections);
  };
  one = name: set: "\n[${name}]\n${keys set}";

  serviceToUnit = def: toUnit def ("\n[Service]\n"
    + concatMapStrings (n: let v = def.environment.${n}; in optionalString (v != null) "Environment=${builtins.toJSON "${n}=${toString v}"}\n") (builtins.attrNames def.environment)
    + optionalString def.reloadIfChanged "X-ReloadIfChanged=true\n"
    + optionalString (!def.reloadIfChanged && !def.restartIfChanged) "X-RestartIfChanged=false\n"
    + optionalString (!def.stopIfChanged) "X-StopIfChanged=false\n"
    + optionalString def.notSocketActivated "X-NotSocketActivated=true\n"
    + keys def.serviceConfig);
  targetToUnit = def: toUnit def "";
  timerToUnit = def: toUnit def (one "Timer" def.timerConfig);
  pathToUnit = def: toUnit def (one "Path" def.pathConfig);
  sliceToUnit = def: toUnit def (one "Slice" def.sliceConfig);
  mountToUnit = def: toUnit def (one "Mount" def.mountConfig);
  socketToUnit = def: toUnit def ("\n[Socket]\n"
    + concatMapStrings (s: "ListenStream=${s}\n") def.listenStreams
    + concatMapStrings (s: "ListenDatagram=${s}\n") def.listenDatagrams
    + keys def.socketConfig);

  makeUnit = name: unit:
    if unit.enable
    then
      pkgs.runCommand "unit-${safeName name}" { inherit (unit) text; passAsFile = [ "text" ]; } ''
        mkdir -p $out
        cp "$textPath" $out/${lib.escapeShellArg name}
      ''
    else
      pkgs.runCommand "unit-${safeName name}-disabled" { } ''
        mkdir -p $out
        ln -s /dev/null $out/${lib.escapeShellArg name}
      '';

  # /etc/systemd/system: all units, their .wants and .requires folders, drop-ins
  generateUnits = { name, units, packages, aliases }:
    let
      arg = lib.escapeShellArg;
      link = u: n:
        if u.overrideStrategy == "asDropin"
        then ''mkdir -p $out/${arg "${n}.d"}; ln -s ${u.unit}/${arg n} $out/${arg "${n}.d"}/overrides.conf''
        else ''place ${u.unit} ${arg n}'';
      into = kind: n: of: ''hang ${arg of}.${kind} ${arg n}'';
      each = n: u: concatStringsSep "\n" (
        lib.optional (u.enable && u.text != null || !u.enable) (link u n)
        ++ lib.optionals u.enable (
          map (into "wants" n) u.wantedBy
          ++ map (into "requires" n) u.requiredBy
          ++ map (into "upholds" n) u.upheldBy
          ++ map (a: "ln -sfn ${arg n} $out/${arg a}") u.aliases));
    in
    pkgs.runCommand name { } ''
      mkdir -p $out
      place() {
        if [ -e "$out/$2" ]; then
          mkdir -p "$out/$2.d"
          ln -s "$1/$2" "$out/$2.d/overrides.conf"
        else
          ln -s "$1/$2" "$out/$2"
        fi
      }
      hang() { mkdir -p "$out/$1"; ln -sfn "../$2" "$out/$1/$2"; }
      for package in ${toString packages}; do
        for unit in "$package"/etc/systemd/system/* "$package"/lib/systemd/system/*; do
          [ -e "$unit" ] || [ -L "$unit" ] || continue
          base=''${unit##*/}
          [ -e "$out/$base" ] || ln -s "$unit" "$out/$base"
        done
      done
      ${concatStringsSep "\n" (lib.mapAttrsToList each units)}
      ${concatStringsSep "\n" (lib.mapAttrsToList (a: n: "ln -sfn ${arg n} $out/${arg a}") aliases)}
    '';
}
