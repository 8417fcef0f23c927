variable "name" { type = string }
variable "cidr" { type = string }

resource "hcloud_network" "this" {
  name     = var.name
  ip_range = var.cidr
}

resource "hcloud_network_subnet" "this" {
  network_id   = hcloud_network.this.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = cidrsubnets(var.cidr, 8, 8)[1]
}

resource "hcloud_ssh_key" "this" {
  name       = var.name
  public_key = file("${path.module}/key.pub")
}

output "id" {
  value      = hcloud_network.this.id
  depends_on = [hcloud_network_subnet.this]
}

output "key" { value = hcloud_ssh_key.this.name }
