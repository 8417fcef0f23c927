resource "hcloud_ssh_key" "k" {
  name       = "k"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
}

resource "hcloud_ssh_key" "k" {
  name = "again"
}

resource "hcloud_network" {
  name = "n"
}

ressource "hcloud_network" "typo" {}
