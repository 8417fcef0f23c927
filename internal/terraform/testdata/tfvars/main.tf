variable "env" { type = string }
variable "servers" { type = list(string) }
variable "type" { default = "cx22" }
variable "protect" {
  type    = bool
  default = null
}
variable "unused" {}
variable "hcloud_token" {}

provider "hcloud" {
  token         = var.hcloud_token
  poll_interval = "2s"
}

resource "hcloud_ssh_key" "k" {
  name       = "${var.env}-key"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
  labels     = { env = var.env }
}

resource "hcloud_server" "s" {
  for_each          = toset(var.servers)
  name              = "${each.value}-${var.env}"
  server_type       = var.type
  image             = "debian-12"
  location          = "nbg1"
  ssh_keys          = [hcloud_ssh_key.k.name]
  delete_protection = coalesce(var.protect, var.env == "prod")
  rebuild_protection = coalesce(var.protect, var.env == "prod")
}
