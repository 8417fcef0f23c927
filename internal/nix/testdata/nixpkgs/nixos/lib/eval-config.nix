{ system ? builtins.currentSystem, modules, specialArgs ? { } }:
let
  pkgs = import ../.. { inherit system; };
  inherit (pkgs.lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  base = { config, ... }: {
    options = {
      assertions = option (types.listOf types.unspecified) [ ];
      warnings = option (types.listOf types.str) [ ];
      networking.hostName = option types.str "nixos";
      networking.firewall.enable = option types.bool true;
      networking.firewall.allowedTCPPorts = option (types.listOf types.int) [ ];
      networking.firewall.allowedTCPPortRanges = option (types.listOf types.unspecified) [ ];
      networking.firewall.trustedInterfaces = option (types.listOf types.str) [ "lo" ];
      environment.systemPackages = option (types.listOf types.unspecified) [ ];
      environment.etc = mkOption {
        default = { };
        type = types.attrsOf (types.submodule ({ name, ... }: {
          options = {
            target = option types.str name;
            text = option (types.nullOr types.str) null;
            source = option types.unspecified null;
            mode = option types.str "symlink";
          };
        }));
      };
      systemd.units = mkOption {
        default = { };
        type = types.attrsOf (types.submodule {
          options = { text = option (types.nullOr types.str) null; enable = option types.bool true; wantedBy = option (types.listOf types.str) [ ]; };
        });
      };
      users.users = mkOption {
        default = { };
        type = types.attrsOf (types.submodule {
          options = {
            uid = option (types.nullOr types.int) null;
            isNormalUser = option types.bool false;
            extraGroups = option (types.listOf types.str) [ ];
            hashedPassword = option (types.nullOr types.str) null;
            openssh.authorizedKeys.keys = option (types.listOf types.str) [ ];
            openssh.authorizedKeys.keyFiles = option (types.listOf types.path) [ ];
          };
        });
      };
      services.openssh.enable = option types.bool false;
      services.openssh.ports = option (types.listOf types.int) [ 22 ];
      services.openssh.settings = option types.unspecified { };
      system.stateVersion = option types.str "25.11";
      system.build.toplevel = mkOption { };
    };
    config.system.build.toplevel = derivation {
      inherit system;
      name = "nixos-system-${config.networking.hostName}";
      builder = "/bin/sh";
      args = [ "-c" "echo \"$content\" > $out; echo built ${config.networking.hostName} >&2" ];
      content = builtins.toJSON {
        inherit (config) networking users;
        etc = builtins.mapAttrs (_: e: if e.text != null then e.text else "${e.source}") config.environment.etc;
        units = builtins.mapAttrs (_: u: u.text) config.systemd.units;
        packages = map (p: p.outPath) config.environment.systemPackages;
      };
    };
  };
in
pkgs.lib.evalModules { modules = [ base ] ++ modules; specialArgs = { inherit pkgs; } // specialArgs; }
