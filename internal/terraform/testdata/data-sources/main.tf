data "hcloud_network" "shared" {
  name = "shared"
}

data "hcloud_ssh_key" "team" {
  name = "team"
}

data "hcloud_ssh_key" "by_print" {
  fingerprint = "aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99"
}

data "hcloud_firewall" "base" {
  name = "base"
}

data "hcloud_placement_group" "g" {
  name = "g"
}

data "hcloud_primary_ip" "ip" {
  name = "ip"
}

data "hcloud_image" "nixos" {
  with_selector = "os=nixos,arch=x86"
  most_recent   = true
}

data "hcloud_image" "debian" {
  name              = "debian-12"
  with_architecture = "x86"
}

data "hcloud_location" "here" {
  name = "nbg1"
}

data "hcloud_server" "other" {
  name = "other"
}

data "hcloud_volume" "archive" {
  name = "archive"
}

data "hcloud_load_balancer" "lb" {
  name = "lb"
}

data "hcloud_ssh_keys" "all" {
  with_selector = "team=ops"
}

resource "hcloud_server" "a" {
  name               = "a"
  server_type        = "cx22"
  image              = data.hcloud_image.nixos.id
  location           = data.hcloud_location.here.name
  ssh_keys           = [data.hcloud_ssh_key.team.id, data.hcloud_ssh_key.by_print.id]
  firewall_ids       = [data.hcloud_firewall.base.id]
  placement_group_id = data.hcloud_placement_group.g.id
  network {
    network_id = data.hcloud_network.shared.id
    ip         = "10.0.9.9"
  }
  public_net {
    ipv4         = data.hcloud_primary_ip.ip.id
    ipv6_enabled = false
  }
}

resource "hcloud_server" "b" {
  name        = "b"
  server_type = "cx22"
  image       = data.hcloud_image.debian.id
  location    = "nbg1"
  ssh_keys    = data.hcloud_ssh_keys.all.ssh_keys[*].name
}

resource "hcloud_network_subnet" "foreign" {
  network_id   = data.hcloud_network.shared.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = "10.0.9.0/24"
}

resource "hcloud_volume_attachment" "archive" {
  volume_id = data.hcloud_volume.archive.id
  server_id = hcloud_server.b.id
}

resource "hcloud_volume" "other" {
  name      = "other"
  size      = 10
  server_id = data.hcloud_server.other.id
}

resource "hcloud_load_balancer_target" "a" {
  type             = "server"
  load_balancer_id = data.hcloud_load_balancer.lb.id
  server_id        = hcloud_server.a.id
}
