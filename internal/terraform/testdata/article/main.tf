# A network, one server, and a module that turns it into NixOS over SSH.
terraform {
  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "~> 1.49"
    }
  }
}

provider "hcloud" {
  token = var.hcloud_token
}

variable "hcloud_token" {
  sensitive = true
}

resource "hcloud_network" "private_network" {
  name     = "private-network"
  ip_range = "10.0.0.0/16"
}

resource "hcloud_network_subnet" "default_private_network_subnet" {
  type         = "cloud"
  network_id   = hcloud_network.private_network.id
  network_zone = "eu-central"
  ip_range     = "10.0.1.0/24"
}

resource "hcloud_server" "preprod_server" {
  name        = "preprod"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"

  network {
    network_id = hcloud_network.private_network.id
    ip         = "10.0.1.3"
  }

  ssh_keys = ["default-ssh-key"]
}

module "nixos_install_preprod_server" {
  source      = "./modules/nixos-install"
  target_host = hcloud_server.preprod_server.ipv4_address
}
