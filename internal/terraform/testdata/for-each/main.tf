# for_each over maps and sets, objects with optional attributes.
variable "servers" {
  type = map(object({
    type     = optional(string, "cx22")
    location = string
    ip       = string
    backups  = optional(bool, false)
    labels   = optional(map(string), {})
  }))
  default = {
    app = { location = "nbg1", ip = "10.1.1.10" }
    db  = { location = "fsn1", ip = "10.1.1.20", type = "cx32", backups = true, labels = { tier = "data" } }
  }
}

locals {
  keys = {
    ada   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
  }
  all_labels = { for name, s in var.servers : name => merge({ managed = "yes", name = name }, s.labels) }
}

resource "hcloud_ssh_key" "people" {
  for_each   = local.keys
  name       = each.key
  public_key = each.value
}

resource "hcloud_network" "lan" {
  name     = "lan"
  ip_range = "10.1.0.0/16"
}

resource "hcloud_network_subnet" "lan" {
  for_each     = toset(["10.1.1.0/24", "10.1.2.0/24"])
  network_id   = hcloud_network.lan.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = each.value
}

resource "hcloud_server" "this" {
  for_each    = var.servers
  name        = each.key
  server_type = each.value.type
  image       = "debian-12"
  location    = each.value.location
  backups     = each.value.backups
  labels      = local.all_labels[each.key]
  ssh_keys    = [for k in hcloud_ssh_key.people : k.name]

  lifecycle {
    ignore_changes = [ssh_keys, user_data]
  }
}

resource "hcloud_server_network" "lan" {
  for_each   = hcloud_server.this
  server_id  = each.value.id
  subnet_id  = hcloud_network_subnet.lan["10.1.1.0/24"].id
  ip         = var.servers[each.key].ip
}
