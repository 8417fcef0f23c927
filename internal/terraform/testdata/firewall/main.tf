# Rules by dynamic blocks, label selectors, attachments.
locals {
  ports = {
    ssh   = { port = 22, from = ["203.0.113.7/24"] }
    https = { port = 443, from = ["0.0.0.0/0", "::/0"] }
  }
}

resource "hcloud_ssh_key" "k" {
  name       = "k"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
}

resource "hcloud_firewall" "web" {
  name = "web"

  dynamic "rule" {
    for_each = local.ports
    content {
      description = rule.key
      direction   = "in"
      protocol    = "tcp"
      port        = tostring(rule.value.port)
      source_ips  = rule.value.from
    }
  }

  dynamic "rule" {
    for_each = [51820, 51821]
    iterator = wg
    content {
      direction  = "in"
      protocol   = "udp"
      port       = wg.value
      source_ips = ["0.0.0.0/0"]
    }
  }

  rule {
    direction  = "in"
    protocol   = "icmp"
    source_ips = ["0.0.0.0/0", "::/0"]
  }

  rule {
    direction       = "out"
    protocol        = "tcp"
    port            = "any"
    destination_ips = ["0.0.0.0/0", "::/0"]
  }

  apply_to {
    label_selector = "role=web"
  }
}

resource "hcloud_firewall" "db" {
  name = "db"
  rule {
    direction  = "in"
    protocol   = "tcp"
    port       = "5432"
    source_ips = ["${hcloud_server.app.ipv4_address}/32"]
  }
}

resource "hcloud_firewall" "office" {
  name = "office"
  labels = { owner = "it" }
  rule {
    direction  = "in"
    protocol   = "tcp"
    port       = "1024-2048"
    source_ips = ["198.51.100.1/32"]
  }
}

resource "hcloud_firewall_attachment" "office" {
  firewall_id     = hcloud_firewall.office.id
  server_ids      = [hcloud_server.app.id]
  label_selectors = ["office=yes"]
}

resource "hcloud_server" "app" {
  name         = "app"
  server_type  = "cx22"
  image        = "debian-12"
  location     = "nbg1"
  ssh_keys     = [hcloud_ssh_key.k.id]
  firewall_ids = [hcloud_firewall.web.id]
}

resource "hcloud_server" "db" {
  name         = "db"
  server_type  = "cx22"
  image        = "debian-12"
  location     = "nbg1"
  ssh_keys     = [hcloud_ssh_key.k.id]
  firewall_ids = [hcloud_firewall.db.id]
}
