# The only provider configuration has an alias; labels are known in part; a
# dynamic block depends on what nobody gives.
provider "hcloud" {
  alias = "prod"
  token = var.token
}

variable "token" {}
variable "open_ports" { type = list(number) }
variable "owner" {}

module "all" {
  source    = "./all"
  ports     = var.open_ports
  owner     = var.owner
  providers = { hcloud = hcloud.prod }
}

resource "hcloud_ssh_key" "k" {
  provider   = hcloud.prod
  name       = "k"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
}
