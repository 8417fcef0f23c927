# The host that the changes of changes_test.go edit, each in one place.
{ config, pkgs, lib, ... }:
let
  daemon = { script = "exec sleep infinity"; wantedBy = [ "multi-user.target" ]; };
in
{
  # a part of sops-nix's interface, with files that are not encrypted
  options.sops.secrets = lib.mkOption {
    default = { };
    type = lib.types.attrsOf (lib.types.submodule ({ name, config, ... }: {
      options = {
        path = lib.mkOption { type = lib.types.str; default = "/run/secrets/${name}"; };
        owner = lib.mkOption { type = lib.types.str; default = "root"; };
        mode = lib.mkOption { type = lib.types.str; default = "0400"; };
        sopsFile = lib.mkOption { type = lib.types.path; };
        sopsFileHash = lib.mkOption { type = lib.types.str; default = builtins.hashFile "sha256" config.sopsFile; };
        restartUnits = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
      };
    }));
  };
  config = {
    networking.hostName = "machine";
    system.stateVersion = "25.11";
    services.openssh.enable = true;
    services.openssh.ports = [ 22 ];
    services.openssh.settings.PasswordAuthentication = true;
    users.users.root.openssh.authorizedKeys.keys = [
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop deploy"
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X anna"
    ];
    users.users.anna = { isNormalUser = true; extraGroups = [ "video" ]; };
    security.sudo.wheelNeedsPassword = true;

    services.nginx.enable = true;
    services.nginx.virtualHosts."www.example.org".locations."/".return = "200 one";
    security.acme.certs."mail.example.org" = { };
    services.postgresql = { enable = true; package = pkgs.postgresql_16; };
    virtualisation.oci-containers.containers.cache = { image = "docker.io/library/redis:7.2"; ports = [ "127.0.0.1:6379:6379" ]; };

    networking.firewall.allowedTCPPorts = [ 80 8080 ];
    environment.etc.motd.text = "hello\n";
    environment.systemPackages = [ pkgs.hello ];
    boot.isContainer = false;
    boot.kernelPackages = pkgs.linuxPackages;
    boot.kernelParams = [ "quiet" ];
    boot.kernel.sysctl."vm.swappiness" = 10;
    fileSystems."/srv/data" = { device = "/var/lib/data"; fsType = "none"; options = [ "bind" ]; };
    fileSystems."/srv/scratch" = { device = "none"; fsType = "tmpfs"; options = [ "size=1m" ]; };
    systemd.tmpfiles.rules = [ "d /var/lib/data 0755 root root -" ];
    sops.secrets."api/token" = { sopsFile = ./one.yaml; restartUnits = [ "api.service" ]; };
    system.activationScripts.setupSecrets = {
      supportsDryActivation = true;
      text = lib.concatStrings (lib.mapAttrsToList
        (_: secret: ''
          if ! ${pkgs.diffutils}/bin/cmp -s ${secret.sopsFile} ${secret.path}; then
            prefix=/run/nixos/activation
            if [ "$NIXOS_ACTION" = dry-activate ]; then prefix=/run/nixos/dry-activation; fi
            if [ -e ${secret.path} ]; then
              mkdir -p /run/nixos
              for unit in ${toString secret.restartUnits}; do echo "$unit" >> "$prefix-restart-list"; done
            fi
            if [ "$NIXOS_ACTION" != dry-activate ]; then mkdir -p "$(dirname ${secret.path})"; cp ${secret.sopsFile} ${secret.path}; fi
          fi
        '')
        config.sops.secrets);
    };

    systemd.services = {
      api = daemon // { environment.V = "1"; serviceConfig.LoadCredential = "token:/run/secrets/api/token"; };
      inplace = daemon // { stopIfChanged = false; environment.V = "1"; };
      reloaded = daemon // { reload = "true"; reloadTriggers = [ "1" ]; };
      byreload = daemon // { reloadIfChanged = true; reload = "true"; environment.V = "1"; };
      kept = daemon // { restartIfChanged = false; environment.V = "1"; };
      described = daemon // { description = "one"; };
      needed = daemon // { environment.V = "1"; };
      needing = daemon // { requires = [ "needed.service" ]; after = [ "needed.service" ]; };
      removed = daemon;
      "worker@" = { script = "exec sleep infinity"; environment.V = "1"; };
      socketed = { script = "exec sleep infinity"; environment.V = "1"; };
      ticking = { script = "true"; serviceConfig.Type = "oneshot"; };
      idle = { script = "exec sleep infinity"; environment.V = "1"; };
    };
    systemd.targets.multi-user.wants = [ "worker@a.service" "worker@b.service" ];
    systemd.sockets.socketed = { wantedBy = [ "sockets.target" ]; listenStreams = [ "/run/socketed.sock" ]; };
    systemd.timers.ticking = { wantedBy = [ "timers.target" ]; timerConfig.OnCalendar = "2037-01-01"; };
    systemd.paths.watched = { wantedBy = [ "paths.target" ]; pathConfig = { PathExists = "/run/watched-one"; Unit = "ticking.service"; }; };
  };
}
