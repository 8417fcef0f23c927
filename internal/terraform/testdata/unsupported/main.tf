terraform {
  backend "s3" {}
  required_providers {
    hcloud     = { source = "hetznercloud/hcloud" }
    cloudflare = { source = "cloudflare/cloudflare" }
  }
}

provider "hcloud" {
  token = "0123456789012345678901234567890123456789012345678901234567890123"
}

provider "hcloud" {
  alias = "customer"
  token = var.customer_token
}

provider "cloudflare" {}

variable "customer_token" {}
variable "admin_ip" {}
variable "password" {
  sensitive = true
  default   = "hunter22"
}

data "http" "me" {
  url = "https://ifconfig.example"
}

resource "hcloud_ssh_key" "k" {
  name       = "k"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
}

resource "hcloud_firewall" "admin" {
  name = "admin"
  rule {
    direction  = "in"
    protocol   = "tcp"
    port       = "22"
    source_ips = [var.admin_ip, "${chomp(data.http.me.response_body)}/32"]
  }
}

resource "hcloud_server" "s" {
  name         = "s"
  server_type  = "cx22"
  image        = "debian-12"
  location     = "nbg1"
  ssh_keys     = [hcloud_ssh_key.k.id]
  firewall_ids = [hcloud_firewall.admin.id]
  user_data    = "password: ${var.password}"
  iso          = "nixos-minimal"
  rescue       = "linux64"
  labels       = { made = timestamp(), by = provider::acme::me() }
  gpu          = true

  connection {
    host = self.ipv4_address
  }
  provisioner "remote-exec" {
    inline = ["curl -L https://example.com/nixos-infect | bash"]
  }
  provisioner "local-exec" {
    command = "echo ${self.ipv4_address} >> hosts"
  }
}

resource "hcloud_server" "customer" {
  provider    = hcloud.customer
  name        = "customer"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"
}

resource "hcloud_server" "under_score" {
  name        = "under_score"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"
}

resource "hcloud_server" "nowhere" {
  name        = "nowhere"
  server_type = "cx22"
  image       = "debian-12"
  ssh_keys    = [hcloud_ssh_key.k.id]
}

resource "hcloud_volume" "nowhere" {
  name      = "nowhere"
  size      = 10
  server_id = hcloud_server.nowhere.id
}

resource "hcloud_server" "twin" {
  count       = 2
  name        = "twin"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"
}

resource "hcloud_floating_ip" "f" {
  type      = "ipv4"
  server_id = hcloud_server.s.id
}

resource "hcloud_floating_ip_assignment" "f" {
  floating_ip_id = hcloud_floating_ip.f.id
  server_id      = hcloud_server.s.id
}

resource "hcloud_uploaded_certificate" "c" {
  name        = "c"
  private_key = file("key.pem")
  certificate = "x"
}

resource "hcloud_snapshot" "s" {
  server_id = hcloud_server.s.id
}

resource "hcloud_zone" "z" {
  name = "example.com"
  mode = "primary"
}

resource "hcloud_storage_box" "b" {
  name = "b"
}

resource "cloudflare_record" "www" {
  name  = "www"
  value = hcloud_server.s.ipv4_address
}

resource "local_file" "inventory" {
  filename = "hosts"
  content  = hcloud_server.s.ipv4_address
}

resource "random_id" "x" {
  byte_length = 4
}

resource "null_resource" "empty" {}

module "anywhere" {
  source = "github.com/nix-community/nixos-anywhere//terraform/all-in-one"
}
