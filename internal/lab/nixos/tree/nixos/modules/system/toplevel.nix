{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.system;

  failed = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
  throwOnFailed = value:
    if failed != [ ]
    then throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (m: "- ${m}") failed}"
    else lib.foldl' (v: w: lib.warn w v) value config.warnings;

  switcher = ''
    #!${pkgs.runtimeShell}
    export OUT=@out@ TOPLEVEL=@out@ DISTRO_ID=${lib.escapeShellArg cfg.nixos.distroId}
    export INSTALL_BOOTLOADER=${cfg.build.installBootLoader}
    export PRE_SWITCH_CHECK=${cfg.preSwitchChecksScript}
    export SYSTEMD=${config.systemd.package}
    export LOCALE_ARCHIVE=
    exec ${pkgs.perl}/bin/perl -I ${./switch} ${./switch}/switch-to-configuration.pl "$@"
  '';

  # What the loader starts: the system's own way from nothing to systemd.
  init = ''
    #!${pkgs.runtimeShell}
    export PATH=${lib.makeBinPath [ pkgs.coreutils ]}
    mkdir -p /run
    ln -sfn @out@ /run/booted-system
    @out@/activate || echo "activation ended with $?; going on" >&2
    exec ${config.systemd.package}/lib/systemd/systemd "$@"
  '';
in
{
  options.system = {
    build = mkOption { type = types.submodule { freeformType = types.lazyAttrsOf types.raw; }; default = { }; description = "Things that are built."; };
    systemBuilderCommands = mkOption { type = types.lines; default = ""; internal = true; description = "Commands added to the system's build."; };
    extraSystemBuilderCmds = mkOption { type = types.lines; default = ""; internal = true; description = "As systemBuilderCommands."; };
    extraDependencies = mkOption { type = types.listOf types.pathInStore; default = [ ]; description = "Paths that belong to the system's closure."; };
    switch = {
      enable = mkOption { type = types.bool; default = true; description = "Whether the system can switch."; };
      inhibitors = mkOption { type = types.listOf types.pathInStore; default = [ ]; description = "Paths whose change forbids a switch without a reboot."; };
    };
    activatable = mkOption { type = types.bool; default = true; description = "Whether the system has activation scripts."; };
    boot.loader.id = mkOption { type = types.str; default = "lab"; internal = true; description = "The loader's id."; };
    autoUpgrade.enable = mkOption { type = types.bool; default = false; description = "Not supported."; };
  };

  config = {
    environment.systemPackages = [ pkgs.perl ];

    system.preSwitchChecks.switchInhibitors = ''
      case "''${2-}" in boot) exit 0 ;; esac
      booted=/run/booted-system/switch-inhibitors
      if [ -e "$booted" ] && ! ${pkgs.diffutils}/bin/cmp -s "$booted" "$1/switch-inhibitors"; then
        echo "The new system changes components that cannot be switched while it runs: use the action boot and reboot." >&2
        exit 1
      fi
    '';

    system.build.toplevel = throwOnFailed (pkgs.stdenv.mkDerivation {
      name = "nixos-system-${cfg.name}-${cfg.nixos.label}";
      preferLocalBuild = true;
      passAsFile = [ "activationScript" "dryActivationScript" "switcher" "init" "extraDependencies" ];
      activationScript = cfg.activationScripts.script;
      inherit (cfg) dryActivationScript extraDependencies;
      inherit switcher init;
      inhibitors = lib.concatLines (lib.sort (a: b: a < b) (map toString cfg.switch.inhibitors));
      buildCommand = ''
        mkdir -p $out/bin
        install_script() { sed "s#@out@#$out#g" "$1" > "$2"; chmod 755 "$2"; }
        ${lib.optionalString cfg.activatable ''
          install_script "$activationScriptPath" $out/activate
          install_script "$dryActivationScriptPath" $out/dry-activate
        ''}
        ${lib.optionalString cfg.switch.enable ''install_script "$switcherPath" $out/bin/switch-to-configuration''}
        install_script "$initPath" $out/init
        ln -s ${cfg.build.etc}/etc $out/etc
        ln -s ${cfg.path} $out/sw
        ln -s ${config.systemd.package} $out/systemd
        printf %s ${lib.escapeShellArg cfg.nixos.label} > $out/nixos-version
        printf %s ${pkgs.stdenv.hostPlatform.system} > $out/system
        printf %s "systemd ${toString config.systemd.package.interfaceVersion or "2"}" > $out/init-interface-version
        printf %s ${lib.escapeShellArg (toString config.boot.kernelParams)} > $out/kernel-params
        printf %s "$inhibitors" > $out/switch-inhibitors
        ${lib.optionalString config.boot.kernel.enable ''
          ln -s ${config.boot.kernelPackages.kernel}/bzImage $out/kernel
          ln -s ${config.boot.kernelPackages.kernel} $out/kernel-modules
        ''}
        ${lib.optionalString (cfg.extraDependencies != [ ]) ''cp "$extraDependenciesPath" $out/extra-dependencies''}
        ${cfg.systemBuilderCommands}
        ${cfg.extraSystemBuilderCmds}
      '';
    });
  };
}
