resource "hcloud_ssh_key" "k" {
  name       = "k"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
}

resource "hcloud_primary_ip" "v4" {
  name              = "edge-v4"
  type              = "ipv4"
  assignee_type     = "server"
  datacenter        = "nbg1-dc3"
  auto_delete       = false
  delete_protection = true
  labels            = { use = "edge" }
}

resource "hcloud_primary_ip" "v6" {
  name          = "edge-v6"
  type          = "ipv6"
  assignee_type = "server"
  auto_delete   = false
}

# Assigned by the address, not by the server.
resource "hcloud_primary_ip" "mail" {
  name        = "mail-v4"
  type        = "ipv4"
  assignee_id = hcloud_server.mail.id
  auto_delete = false
}

resource "hcloud_server" "edge" {
  name        = "edge"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"
  ssh_keys    = [hcloud_ssh_key.k.id]
  public_net {
    ipv4_enabled = true
    ipv4         = hcloud_primary_ip.v4.id
    ipv6_enabled = true
    ipv6         = hcloud_primary_ip.v6.id
  }
}

resource "hcloud_server" "mail" {
  name        = "mail"
  server_type = "cx22"
  image       = "debian-12"
  location    = "hel1"
  ssh_keys    = [hcloud_ssh_key.k.id]
}

resource "hcloud_server" "inner" {
  name        = "inner"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"
  ssh_keys    = [hcloud_ssh_key.k.id]
  public_net {
    ipv4_enabled = false
    ipv6_enabled = false
  }
  network {
    network_id = hcloud_network.n.id
  }
}

resource "hcloud_network" "n" {
  name     = "n"
  ip_range = "192.168.0.0/16"
}

resource "hcloud_network_subnet" "n" {
  network_id   = hcloud_network.n.id
  type         = "server"
  network_zone = "eu-central"
  ip_range     = "192.168.1.0/24"
}

resource "hcloud_network_route" "nat" {
  network_id  = hcloud_network.n.id
  destination = "0.0.0.0/0"
  gateway     = "192.168.1.2"
}
