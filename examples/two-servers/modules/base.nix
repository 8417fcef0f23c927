# What every host gets.
{ name, pkgs, ... }:
{
  networking.hostName = name;
  networking.firewall.enable = true;

  services.openssh = {
    enable = true;
    settings.PasswordAuthentication = false;
  };

  environment.systemPackages = [ pkgs.curl ];

  system.stateVersion = "25.11";
}
