variable "ports" {}
variable "owner" {}

resource "hcloud_firewall" "f" {
  name = "f"
  dynamic "rule" {
    for_each = var.ports
    content {
      direction  = "in"
      protocol   = "tcp"
      port       = rule.value
      source_ips = ["0.0.0.0/0"]
    }
  }
}

resource "hcloud_server" "s" {
  name         = "s"
  server_type  = "cx22"
  image        = "debian-12"
  location     = "nbg1"
  ssh_keys     = ["k"]
  firewall_ids = [hcloud_firewall.f.id]
  labels       = { app = "s", owner = var.owner }
}
