resource "hcloud_ssh_key" "k" {
  name       = "k"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
}

resource "hcloud_server" "mail" {
  name        = "mail"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"
  ssh_keys    = [hcloud_ssh_key.k.id]
}

resource "hcloud_primary_ip" "second" {
  name          = "second"
  type          = "ipv6"
  location      = "nbg1"
  assignee_type = "server"
  auto_delete   = false
}

resource "hcloud_load_balancer" "lb" {
  name               = "lb"
  load_balancer_type = "lb11"
  location           = "nbg1"
}

resource "hcloud_rdns" "v4" {
  server_id  = hcloud_server.mail.id
  ip_address = hcloud_server.mail.ipv4_address
  dns_ptr    = "mail.example.com"
}

resource "hcloud_rdns" "v6" {
  server_id  = hcloud_server.mail.id
  ip_address = hcloud_server.mail.ipv6_address
  dns_ptr    = "mail.example.com"
}

resource "hcloud_rdns" "fixed" {
  server_id  = hcloud_server.mail.id
  ip_address = "2001:db8:0:1::25"
  dns_ptr    = "smtp.example.com"
}

resource "hcloud_rdns" "made" {
  server_id  = hcloud_server.mail.id
  ip_address = cidrhost(hcloud_server.mail.ipv6_network, 26)
  dns_ptr    = "imap.example.com"
}

resource "hcloud_rdns" "ip" {
  primary_ip_id = hcloud_primary_ip.second.id
  ip_address    = hcloud_primary_ip.second.ip_address
  dns_ptr       = "second.example.com"
}

resource "hcloud_rdns" "lb" {
  load_balancer_id = hcloud_load_balancer.lb.id
  ip_address       = hcloud_load_balancer.lb.ipv4
  dns_ptr          = "lb.example.com"
}

resource "hcloud_rdns" "floating" {
  floating_ip_id = hcloud_floating_ip.old.id
  ip_address     = hcloud_floating_ip.old.ip_address
  dns_ptr        = "old.example.com"
}

resource "hcloud_floating_ip" "old" {
  type          = "ipv4"
  home_location = "nbg1"
}
