# count over literals, variables and lengths; splats and indexes.
variable "web_servers" {
  type    = number
  default = 3
}

locals {
  zones = ["nbg1", "fsn1", "hel1"]
}

resource "hcloud_ssh_key" "ops" {
  name       = "ops"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
}

resource "hcloud_placement_group" "web" {
  name = "web"
  type = "spread"
}

resource "hcloud_network" "main" {
  name     = "main"
  ip_range = "10.10.0.0/16"
}

resource "hcloud_network_subnet" "parts" {
  count        = 2
  network_id   = hcloud_network.main.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = cidrsubnet(hcloud_network.main.ip_range, 8, count.index + 1)
}

resource "hcloud_server" "web" {
  count              = var.web_servers
  name               = format("web-%02d", count.index + 1)
  server_type        = "cx22"
  image              = "debian-12"
  location           = element(local.zones, count.index)
  ssh_keys           = [hcloud_ssh_key.ops.id]
  placement_group_id = hcloud_placement_group.web.id
  labels = {
    role  = "web"
    index = count.index
  }

  network {
    network_id = hcloud_network.main.id
    ip         = cidrhost(hcloud_network_subnet.parts[0].ip_range, 10 + count.index)
    alias_ips  = []
  }

  depends_on = [hcloud_network_subnet.parts]
}

resource "hcloud_server" "none" {
  count       = var.web_servers > 5 ? 1 : 0
  name        = "none"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"
}

resource "hcloud_volume" "data" {
  count     = length(hcloud_server.web)
  name      = "data-${hcloud_server.web[count.index].name}"
  size      = 20 * (count.index + 1)
  server_id = hcloud_server.web[count.index].id
  format    = "ext4"
}

output "addresses" {
  value = hcloud_server.web[*].ipv4_address
}
