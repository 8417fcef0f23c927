# The state knows some of it, by other names, and more than is declared here.
variable "cluster" {}

resource "random_pet" "name" {}

resource "random_password" "root" {
  length = 20
}

resource "tls_private_key" "deploy" {
  algorithm = "ED25519"
}

resource "hcloud_ssh_key" "deploy" {
  name       = "deploy"
  public_key = tls_private_key.deploy.public_key_openssh
}

resource "hcloud_network" "n" {
  name     = "n"
  ip_range = "10.0.0.0/16"
}

resource "hcloud_network_subnet" "n" {
  for_each     = toset(["10.0.1.0/24", "10.0.2.0/24"])
  network_id   = hcloud_network.n.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = each.key
}

resource "hcloud_server" "app" {
  name        = random_pet.name.id
  server_type = "cx22"
  image       = "debian-12"
  ssh_keys    = [hcloud_ssh_key.deploy.id]
  user_data   = "#cloud-config\npassword: ${random_password.root.result}\n"
  network {
    network_id = hcloud_network.n.id
    subnet_id  = hcloud_network_subnet.n["10.0.1.0/24"].id
  }
}

resource "hcloud_server" "node" {
  for_each    = toset(["a", "b"])
  name        = "${var.cluster}-${each.key}"
  server_type = "cx22"
  image       = "161547269"
  location    = "nbg1"
  ssh_keys    = ["104", "105"]
  labels      = { app = hcloud_server.app.ipv4_address }

  lifecycle {
    ignore_changes = [server_type]
  }
}

resource "hcloud_server" "renamed" {
  name        = "after"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"
  ssh_keys    = data.hcloud_ssh_keys.ops.ssh_keys[*].id
}

data "hcloud_ssh_keys" "ops" {}

resource "hcloud_rdns" "app" {
  server_id  = hcloud_server.app.id
  ip_address = hcloud_server.app.ipv6_address
  dns_ptr    = "app.example.com"
}

resource "hcloud_rdns" "second" {
  server_id  = hcloud_server.app.id
  ip_address = cidrhost(hcloud_server.app.ipv6_network, 2)
  dns_ptr    = "second.example.com"
}

resource "hcloud_volume" "v" {
  count     = length(random_pet.name.id) > 0 ? 1 : 0
  name      = "v"
  size      = 10
  server_id = 2001
}

resource "hcloud_volume" "unknown" {
  count     = random_integer.how_many.result
  name      = "u${count.index}"
  size      = 10
  location  = "nbg1"
}

resource "random_integer" "how_many" {
  min = 1
  max = 3
}
