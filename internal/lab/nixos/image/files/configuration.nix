# The system in the lab's NixOS image, as a provider's snapshot would have it:
# a host that can be logged in to by key, and nothing more.
{
  # the machine names itself until its first deployment
  networking.hostName = "";
  system.name = "snapshot";
  services.openssh.enable = true;
  services.openssh.settings.PasswordAuthentication = false;
}
