resource "hcloud_ssh_key" "k" {
  name       = "k"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICTPLOzB8sEakGJUGR3wYzEPcLtuVrNKdSh/Tj2yUhiF"
}

resource "hcloud_network" "n" {
  name                     = "n"
  ip_range                 = "10.0.0.0/8"
  expose_routes_to_vswitch = true
}

resource "hcloud_network_subnet" "cloud" {
  network_id   = hcloud_network.n.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = "10.0.1.0/24"
}

resource "hcloud_network_subnet" "metal" {
  network_id   = hcloud_network.n.id
  type         = "vswitch"
  network_zone = "eu-central"
  ip_range     = "10.0.2.0/24"
  vswitch_id   = 12345
}

resource "hcloud_server" "web" {
  count       = 2
  name        = "web${count.index}"
  server_type = "cx22"
  image       = "debian-12"
  location    = "nbg1"
  labels      = { role = "web" }
  ssh_keys    = [hcloud_ssh_key.k.id]
  network {
    network_id = hcloud_network.n.id
    ip         = "10.0.1.${count.index + 10}"
  }
}

resource "hcloud_managed_certificate" "www" {
  name         = "www"
  domain_names = ["www.example.com"]
}

resource "hcloud_load_balancer" "front" {
  name               = "front"
  load_balancer_type = "lb11"
  location           = "nbg1"
  delete_protection  = true
  algorithm {
    type = "least_connections"
  }
}

resource "hcloud_load_balancer_network" "front" {
  load_balancer_id        = hcloud_load_balancer.front.id
  subnet_id               = hcloud_network_subnet.cloud.id
  ip                      = "10.0.1.5"
  enable_public_interface = true
}

resource "hcloud_load_balancer_service" "https" {
  load_balancer_id = hcloud_load_balancer.front.id
  protocol         = "https"
  http {
    certificates    = [hcloud_managed_certificate.www.id]
    redirect_http   = true
    sticky_sessions = true
  }
  health_check {
    protocol = "http"
    port     = 80
    interval = 10
    timeout  = 5
    retries  = 2
    http {
      domain       = "www.example.com"
      path         = "/healthz"
      status_codes = ["200"]
    }
  }
}

resource "hcloud_load_balancer_service" "ssh" {
  load_balancer_id = hcloud_load_balancer.front.id
  protocol         = "tcp"
  listen_port      = 2222
  destination_port = 22
  proxyprotocol    = true
}

resource "hcloud_load_balancer_target" "web" {
  for_each         = { for s in hcloud_server.web : s.name => s.id }
  type             = "server"
  load_balancer_id = hcloud_load_balancer.front.id
  server_id        = each.value
  use_private_ip   = true
}

resource "hcloud_load_balancer_target" "labelled" {
  type             = "label_selector"
  load_balancer_id = hcloud_load_balancer.front.id
  label_selector   = "role=canary"
}

resource "hcloud_load_balancer_target" "metal" {
  type             = "ip"
  load_balancer_id = hcloud_load_balancer.front.id
  ip               = "203.0.113.9"
}

resource "hcloud_load_balancer" "plain" {
  name               = "plain"
  load_balancer_type = "lb11"
  network_zone       = "eu-central"
}

resource "hcloud_load_balancer_service" "http" {
  load_balancer_id = hcloud_load_balancer.plain.id
  protocol         = "http"
}
