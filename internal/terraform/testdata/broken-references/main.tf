variable "locaton" {
  default = "nbg1"
}

locals {
  a = local.b
  b = local.a
}

resource "hcloud_server" "web" {
  name        = "web"
  server_type = local.a
  image       = "debian-12"
  location    = var.location
  ssh_keys    = [hcloud_shh_key.k.id]
}

resource "hcloud_ssh_key" "k" {
  name       = "k"
  public_key = local.missing
}
