# The system that runs first in the test of switches. Each unit shows one rule.
{ pkgs, lib, ... }:
let
  daemon = { script = "exec sleep infinity"; wantedBy = [ "multi-user.target" ]; };
in
{
  networking.hostName = "switch";
  services.openssh.enable = true;
  services.nginx.enable = true;
  services.nginx.virtualHosts."_" = { default = true; locations."/".return = "200 old"; };
  services.nginx.virtualHosts.closed = { listen = [{ addr = "0.0.0.0"; port = 8080; }]; locations."/".return = "200 closed"; };
  networking.firewall.allowedTCPPorts = [ 80 ];

  systemd.services = {
    stopstart = daemon // { environment.V = "1"; };
    inplace = daemon // { stopIfChanged = false; environment.V = "1"; };
    reloaded = daemon // { reloadIfChanged = true; reload = "echo 1 >> /run/reloaded"; environment.V = "1"; };
    kept = daemon // { restartIfChanged = false; environment.V = "1"; };
    triggered = daemon // { reload = "echo 1 >> /run/triggered"; reloadTriggers = [ "1" ]; };
    described = daemon // { description = "one"; };
    removed = daemon;
    stays = daemon // { unitConfig.X-StopOnRemoval = false; };
    masked = daemon;
    unchanged = daemon;
    "instance@" = { script = "exec sleep infinity"; environment.V = "1"; };
    socketed = { script = "exec sleep infinity"; environment.V = "1"; };
    ticking = { script = "true"; serviceConfig.Type = "oneshot"; };
    idle = { script = "exec sleep infinity"; environment.V = "1"; };
  };
  systemd.targets.multi-user.wants = [ "instance@x.service" ];
  systemd.sockets.socketed = { wantedBy = [ "sockets.target" ]; listenStreams = [ "/run/socketed.sock" ]; };
  systemd.timers.ticking = { wantedBy = [ "timers.target" ]; timerConfig.OnCalendar = "2037-01-01"; };

  fileSystems."/mnt/kept" = { device = "none"; fsType = "tmpfs"; options = [ "size=1m" ]; };
  fileSystems."/mnt/gone" = { device = "none"; fsType = "tmpfs"; };

  environment.etc = {
    "lab/same".text = "same";
    "lab/changed".text = "old";
    "lab/removed".text = "old";
    "lab/copied" = { text = "old"; mode = "0640"; };
    "lab-gone/only".text = "old";
  };
  users.users.early = { isNormalUser = true; openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA early" ]; };
  systemd.tmpfiles.rules = [ "d /var/lib/from-tmpfiles 0750 root root -" ];
}
