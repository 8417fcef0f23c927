# What the text leaves open stands in the state.
variable "ports" {}
variable "office" {}
variable "owner" {}

resource "hcloud_firewall" "f" {
  name = "f"
  dynamic "rule" {
    for_each = var.ports
    content {
      direction  = "in"
      protocol   = "tcp"
      port       = rule.value
      source_ips = [var.office]
    }
  }
}

resource "hcloud_firewall" "db" {
  name = "db"
  rule {
    direction  = "in"
    protocol   = "tcp"
    port       = "5432"
    source_ips = ["${hcloud_server.s.ipv4_address}/32"]
  }
}

resource "hcloud_server" "s" {
  name         = "s"
  server_type  = "cx22"
  ssh_keys     = ["k"]
  firewall_ids = [hcloud_firewall.f.id]
  labels       = { app = "s", owner = var.owner }
}

resource "hcloud_load_balancer" "lb" {
  name               = "lb"
  load_balancer_type = "lb11"
  location           = "nbg1"
}

resource "hcloud_load_balancer_service" "http" {
  load_balancer_id = hcloud_load_balancer.lb.id
  protocol         = "http"
}
