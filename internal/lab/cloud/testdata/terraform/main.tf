# One of everything that a fleet can have. round = 2 changes what can be changed
# in place; nothing may be replaced by it.

terraform {
  required_providers {
    hcloud = { source = "hetznercloud/hcloud" }
  }
}

variable "round" { type = number }
variable "public_key" { type = string }
variable "certificate" { type = string }
variable "private_key" {
  type      = string
  sensitive = true
}

locals {
  labels = { fleet = "terraform", round = tostring(var.round) }
  later  = var.round > 1
}

provider "hcloud" {
  poll_interval = "20ms"
}

data "hcloud_location" "home" { name = "nbg1" }
data "hcloud_locations" "all" {}
data "hcloud_server_type" "small" { name = "cx22" }
data "hcloud_server_types" "all" {}
data "hcloud_load_balancer_type" "small" { name = "lb11" }
data "hcloud_image" "nixos" {
  with_selector     = "os=nixos"
  most_recent       = true
  with_architecture = "x86"
}

resource "hcloud_ssh_key" "admin" {
  name       = "admin-${var.round}"
  public_key = var.public_key
  labels     = local.labels
}

resource "hcloud_network" "main" {
  name              = "main"
  ip_range          = "10.0.0.0/16"
  labels            = local.labels
  delete_protection = false
}

resource "hcloud_network_subnet" "cloud" {
  network_id   = hcloud_network.main.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = "10.0.1.0/24"
}

resource "hcloud_network_subnet" "more" {
  network_id   = hcloud_network.main.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = "10.0.2.0/24"
}

resource "hcloud_network_route" "vpn" {
  network_id  = hcloud_network.main.id
  destination = "10.100.0.0/16"
  gateway     = "10.0.1.5"
  depends_on  = [hcloud_server.web]
}

resource "hcloud_placement_group" "spread" {
  name   = "spread"
  type   = "spread"
  labels = local.labels
}

resource "hcloud_firewall" "web" {
  name   = "web"
  labels = local.labels
  rule {
    direction   = "in"
    protocol    = "tcp"
    port        = local.later ? "8443" : "443"
    source_ips  = ["0.0.0.0/0", "::/0"]
    description = "web"
  }
  rule {
    direction       = "out"
    protocol        = "udp"
    port            = "any"
    destination_ips = ["10.0.0.0/8"]
  }
  dynamic "rule" {
    for_each = local.later ? ["icmp"] : []
    content {
      direction  = "in"
      protocol   = rule.value
      source_ips = ["0.0.0.0/0"]
    }
  }
  apply_to { label_selector = "role=web" }
}

resource "hcloud_firewall" "extra" {
  name = "extra"
  rule {
    direction  = "in"
    protocol   = "icmp"
    source_ips = ["0.0.0.0/0"]
  }
}

resource "hcloud_firewall" "plain" {
  name = "plain"
}

resource "hcloud_firewall_attachment" "extra" {
  firewall_id     = hcloud_firewall.extra.id
  server_ids      = [hcloud_server.quiet.id]
  label_selectors = local.later ? ["role=later"] : []
}

resource "hcloud_primary_ip" "web" {
  for_each          = toset(["ipv4", "ipv6"])
  name              = "web-${each.key}"
  type              = each.key
  location          = data.hcloud_location.home.name
  auto_delete       = false
  delete_protection = false
  labels            = local.labels
}

resource "hcloud_primary_ip" "spare" {
  name              = "spare"
  type              = "ipv4"
  location          = "nbg1"
  auto_delete       = false
  delete_protection = !local.later
  labels            = local.labels
}

resource "hcloud_server" "web" {
  name               = "web"
  server_type        = local.later ? "cx32" : data.hcloud_server_type.small.name
  keep_disk          = true
  image              = "debian-13"
  location           = data.hcloud_location.home.name
  user_data          = "#cloud-config\nhostname: web\n"
  ssh_keys           = [hcloud_ssh_key.admin.id]
  placement_group_id = hcloud_placement_group.spread.id
  backups            = local.later
  labels             = merge(local.labels, { role = "web" })
  delete_protection  = !local.later
  rebuild_protection = !local.later

  shutdown_before_deletion = true

  public_net {
    ipv4 = hcloud_primary_ip.web["ipv4"].id
    ipv6 = hcloud_primary_ip.web["ipv6"].id
  }
  network {
    network_id = hcloud_network.main.id
    ip         = "10.0.1.5"
    alias_ips  = local.later ? ["10.0.1.6"] : ["10.0.1.6", "10.0.1.7"]
  }
  depends_on = [hcloud_network_subnet.cloud]
}

# A server that has no public address: it cannot start before it is in the network.
resource "hcloud_server" "inner" {
  name        = "inner"
  server_type = "cx22"
  image       = "debian-13"
  location    = "nbg1"
  labels      = local.labels
  public_net {
    ipv4_enabled = false
    ipv6_enabled = false
  }
  network {
    subnet_id = hcloud_network_subnet.cloud.id
    ip        = "10.0.1.20"
    alias_ips = []
  }
}

# A server that is made from a snapshot, and gets an IPv6 later.
resource "hcloud_server" "quiet" {
  name        = "quiet"
  server_type = "cx22"
  image       = data.hcloud_image.nixos.id
  location    = "fsn1"
  labels      = local.labels
  public_net {
    ipv4_enabled = true
    ipv6_enabled = local.later
  }
}

resource "hcloud_server" "bare" {
  name         = "bare"
  server_type  = "cx22"
  image        = "debian-13"
  location     = "nbg1"
  firewall_ids = [hcloud_firewall.plain.id]
  labels       = local.labels
}

resource "hcloud_server_network" "bare" {
  server_id = hcloud_server.bare.id
  subnet_id = hcloud_network_subnet.more.id
  ip        = "10.0.2.9"
}

resource "hcloud_volume" "data" {
  name              = "data"
  size              = local.later ? 20 : 10
  server_id         = hcloud_server.web.id
  format            = "ext4"
  labels            = local.labels
  delete_protection = false
}

resource "hcloud_volume" "loose" {
  name     = "loose"
  size     = 10
  location = "nbg1"
  labels   = local.labels
}

resource "hcloud_volume_attachment" "loose" {
  volume_id = hcloud_volume.loose.id
  server_id = hcloud_server.bare.id
}

resource "hcloud_uploaded_certificate" "site" {
  name        = "site"
  certificate = var.certificate
  private_key = var.private_key
  labels      = local.labels
}

resource "hcloud_load_balancer" "front" {
  name               = "front"
  load_balancer_type = local.later ? "lb21" : data.hcloud_load_balancer_type.small.name
  location           = "nbg1"
  labels             = local.labels
  delete_protection  = false
  algorithm { type = local.later ? "least_connections" : "round_robin" }
}

resource "hcloud_load_balancer" "zone" {
  name               = "zone"
  load_balancer_type = "lb11"
  network_zone       = "eu-central"
}

resource "hcloud_load_balancer_network" "front" {
  load_balancer_id        = hcloud_load_balancer.front.id
  subnet_id               = hcloud_network_subnet.cloud.id
  ip                      = "10.0.1.250"
  enable_public_interface = !local.later
}

resource "hcloud_load_balancer_service" "tcp" {
  load_balancer_id = hcloud_load_balancer.front.id
  protocol         = "tcp"
  listen_port      = 5432
  destination_port = local.later ? 15432 : 5432
  proxyprotocol    = local.later
}

resource "hcloud_load_balancer_service" "http" {
  load_balancer_id = hcloud_load_balancer.front.id
  protocol         = "http"
  listen_port      = 8080
  destination_port = 80
  http {
    sticky_sessions = true
    cookie_name     = local.later ? "LATER" : "FIRST"
    cookie_lifetime = 120
  }
  health_check {
    protocol = "http"
    port     = 80
    interval = local.later ? 20 : 10
    timeout  = 5
    retries  = 2
    http {
      domain       = "site.example"
      path         = "/health"
      response     = "ok"
      status_codes = ["2??"]
    }
  }
}

resource "hcloud_load_balancer_service" "https" {
  load_balancer_id = hcloud_load_balancer.front.id
  protocol         = "https"
  http {
    certificates  = [hcloud_uploaded_certificate.site.id]
    redirect_http = true
    timeout_idle  = 45
  }
}

resource "hcloud_load_balancer_target" "server" {
  type             = "server"
  load_balancer_id = hcloud_load_balancer.front.id
  server_id        = hcloud_server.web.id
  use_private_ip   = true
  depends_on       = [hcloud_load_balancer_network.front]
}

resource "hcloud_load_balancer_target" "selector" {
  type             = "label_selector"
  load_balancer_id = hcloud_load_balancer.front.id
  label_selector   = "fleet=terraform"
  use_private_ip   = true
  depends_on       = [hcloud_load_balancer_network.front]
}

resource "hcloud_load_balancer_target" "ip" {
  type             = "ip"
  load_balancer_id = hcloud_load_balancer.zone.id
  ip               = "203.0.113.7"
}

resource "hcloud_rdns" "server" {
  server_id  = hcloud_server.bare.id
  ip_address = hcloud_server.bare.ipv4_address
  dns_ptr    = "bare-${var.round}.example.com"
}

resource "hcloud_rdns" "ip" {
  primary_ip_id = hcloud_primary_ip.web["ipv6"].id
  ip_address    = cidrhost(hcloud_primary_ip.web["ipv6"].ip_network, 1)
  dns_ptr       = "web-${var.round}.example.com"
}

resource "hcloud_rdns" "balancer" {
  for_each         = { ipv4 = hcloud_load_balancer.front.ipv4, ipv6 = hcloud_load_balancer.front.ipv6 }
  load_balancer_id = hcloud_load_balancer.front.id
  ip_address       = each.value
  dns_ptr          = "front-${each.key}-${var.round}.example.com"
}

resource "hcloud_snapshot" "web" {
  server_id   = hcloud_server.web.id
  description = "round ${var.round}"
  labels      = local.labels
  depends_on  = [hcloud_volume.data]
}
